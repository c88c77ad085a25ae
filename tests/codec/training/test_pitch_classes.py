import numpy as np
import pytest
from pcm import PcmCodec

from stemgen_jax.codec.training import clips, pitch_classes
from stemgen_jax.data import songs

RATE = 8000


class Scales:
  """Songs of one stem with a constant per note: its codes tell its pitch."""

  def __init__(self, *, random: bool):
    self.random = random

  def __repr__(self):
    return "Scales()"

  def songs(self):
    for number, split in enumerate(("train",) * 4 + ("valid",) * 2):
      draw = np.random.default_rng(number)
      # The same notes in every song, which has the same loudness then.
      pitches = draw.permutation(np.repeat(np.arange(48, 60), 2))
      starts = np.arange(len(pitches)) / 10
      notes = np.stack([starts, starts + 0.1, pitches], axis=1)
      shown = draw.permutation(pitches) if self.random else pitches
      wave = np.repeat(shown / 1000, RATE // 10).astype(np.float32)
      yield songs.Song(
        id=f"scale-{number}",
        split=split,
        genre="techno",
        stems=(
          songs.Stem(
            "tune",
            "piano",
            lambda wave=wave: songs.Audio(wave[:, None], RATE),
            notes=lambda notes=notes: notes,
          ),
          songs.Stem(
            "noise", "drums", lambda wave=wave: songs.Audio(wave[:, None], RATE)
          ),
        ),
      )


class Fine(PcmCodec):
  """The finer level of a PCM codec as the coarsest."""

  levels = 1

  def encode(self, audio):
    return super().encode(8 * audio)[..., :1]


@pytest.mark.parametrize("random", [False, True])
def test_auc_of_codes_that_do_or_do_not_tell_the_pitch(tmp_path, random):
  source = Scales(random=random)
  list(clips.render(source, tmp_path, RATE))
  result = pitch_classes.auc(Fine(), source.songs(), tmp_path)
  expected = (
    pytest.approx(0.5, abs=0.1) if random else pytest.approx(1, abs=0.02)
  )
  assert result == {"piano": expected}
