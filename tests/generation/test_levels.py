"""Levels of training cover those of generation, and stems fit their context."""

import functools

import numpy as np
import pytest
from pcm import RATE, PcmCodec

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio
from stemgen_jax.codec.training import clips
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import encoding, pairs
from stemgen_jax.generation import context, stem_audio

SECONDS = 4


class Recorded(PcmCodec):
  """A codec that keeps the loudness of all it encodes."""

  def __init__(self):
    super().__init__(hop=2)
    self.levels_db = []

  def encode(self, audio):
    self.levels_db += [audio_lib.loudness_db(x, RATE) for x in audio]
    return super().encode(audio)


def _stems() -> dict[str, np.ndarray]:
  """A quiet pad, a bass with rests, and drums with high peaks."""
  time = np.arange(SECONDS * RATE) / RATE
  wave = np.sin(2 * np.pi * np.outer([220, 55, 110], time))
  levels = (
    np.full(len(time), 0.02),
    0.3 * (time % 1 < 0.5),
    0.8 * np.exp(-30 * (time % 0.5)),
  )
  names = ("synth_pad", "bass", "drums")
  return {
    name: (level * x)[:, None].astype(np.float32)
    for name, level, x in zip(names, levels, wave)
  }


@pytest.fixture(scope="module")
def trained():
  """Return a prepared song, and the codec that encoded it."""
  stems = tuple(
    songs.Stem(name, name, functools.partial(Audio, samples, RATE))
    for name, samples in _stems().items()
  )
  song = songs.Song(id="s", split="train", genre="techno", stems=stems)
  codec = Recorded()
  config = pairs.PairConfig(segment_seconds=SECONDS, pairs=12, empty_share=0)
  return encoding.encode_song(song, codec, config), codec


def test_training_covers_the_levels_of_generation(trained):
  encoded, codec = trained
  sizes = set((encoded.gains > 0).sum(axis=1).tolist())
  assert sizes == {1, 2}  # contexts of one stem and of several
  least, most = min(codec.levels_db), max(codec.levels_db)
  stems = _stems()
  mix = np.sum(list(stems.values()), axis=0)
  mastered = np.tanh(20 * mix).astype(np.float32)
  assert audio_lib.loudness_db(mastered, RATE) > -6
  for sound in (*stems.values(), mix, mastered):
    used = Recorded()
    context.encode_context(used, Audio(sound, RATE), audio_lib.REFERENCE_DB)
    (level,) = used.levels_db
    assert least - 0.01 <= level <= most + 0.01
    # The codec was trained on this level, and 6 dB around it.
    assert abs(level - audio_lib.REFERENCE_DB) < clips._SPREAD


def test_stems_have_their_level_in_the_song(trained):
  encoded, _ = trained
  stems = list(_stems().values())
  for row, relative_db in enumerate(encoded.relative_db.tolist()):
    used = encoded.gains[row] > 0
    mix = np.sum([x for x, taken in zip(stems, used) if taken], axis=0)
    target = stems[encoded.stem[row]]
    for gain in (0.1, 1.0):  # a quiet context gets a stem as much quieter
      encoded_context = context.encode_context(
        Recorded(),
        Audio((gain * mix).astype(np.float32), RATE),
        audio_lib.REFERENCE_DB,
        relative_db=relative_db,
      )
      codes = np.asarray(encoded.target[row], np.int32)
      stem = stem_audio.decode_stem(Recorded(), codes, encoded_context)
      level_db = audio_lib.loudness_db(stem.samples, RATE)
      expected = audio_lib.loudness_db(target, RATE) + audio_lib.to_db(gain)
      assert level_db == pytest.approx(expected, abs=0.5)
