"""Playing along with loops, by a player that does, or does not."""

import dataclasses
import json
import types
from typing import Any

import numpy as np
import pytest

from stemgen_jax import audio, disk
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation.studies import loops

RATE = 22050


def clicks(bpm: float, seconds: float) -> Audio:
  """A burst of noise on every beat."""
  samples = np.zeros((round(seconds * RATE), 1), np.float32)
  burst = np.random.default_rng(0).normal(0, 0.3, 1500) * np.linspace(
    1, 0, 1500
  )
  for beat in np.arange(0, seconds - 0.1, 60 / bpm):
    first = round(beat * RATE)
    samples[first : first + 1500, 0] = burst
  return Audio(samples, RATE)


@dataclasses.dataclass
class Player:
  """Plays what it hears, or the same whatever it hears."""

  deaf: Audio | None = None
  seeds: list = dataclasses.field(default_factory=list)

  def generate(self, context, stem, *, seed, settings):
    self.seeds.append((stem, seed))
    return types.SimpleNamespace(audio=self.deaf or context)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  folder = tmp_path_factory.mktemp("loops")
  for bpm in (84, 100, 140):
    # Two bars of 4/4 that go round without a gap.
    audio.write(folder / f"{bpm}.wav", clicks(bpm, 8 * 60 / bpm), bits=16)
  return disk.matching(str(folder / "*.wav"))


def test_who_plays_the_loop_is_as_good_as_the_loop(files, tmp_path):
  player: Any = Player()
  result = loops.loops(
    player, files, tmp_path / "out", stems=["drums"], seconds=9.0, seed=5
  )
  assert player.seeds == [("drums", 5), ("drums", 6), ("drums", 7)]
  heard = audio.read(tmp_path / "out" / "001-140.wav")
  played = audio.read(tmp_path / "out" / "001-140-drums.wav")
  assert heard.seconds == 9.0
  np.testing.assert_array_equal(played.samples, heard.samples)
  beats = result["stems"]["drums"]["beat_f1"]
  assert beats["generated"] == beats["loop"]
  assert beats["loop"]["mean"] == 1.0
  assert beats["other"]["mean"] < 0.7
  slow, fast = (str(files[0].with_name(f"{bpm}.wav")) for bpm in (84, 140))
  assert result["beats"][fast] > result["beats"][slow] > 9
  assert set(result["each"]["drums"]) == set(map(str, files))
  assert "drums beat_f1" in loops.table(result)


def test_who_does_not_listen_is_as_good_as_the_other(files, tmp_path):
  player: Any = Player(clicks(117.0, 9.0))
  result = loops.loops(
    player, files, tmp_path / "out", stems=["bass"], seconds=9.0
  )
  figures = result["stems"]["bass"]["beat_f1"]
  assert figures["generated"]["mean"] == figures["other"]["mean"] < 0.8


def test_a_loop_without_a_beat_counts_for_nothing(files, tmp_path):
  silent = tmp_path / files[0].name  # of the same name, in another folder
  audio.write(silent, Audio(np.zeros((RATE, 1), np.float32), RATE), bits=16)
  player: Any = Player()
  result = loops.loops(
    player, [*files, silent], tmp_path / "out", stems=["drums"], seconds=9.0
  )
  each = result["each"]["drums"]
  assert len(each) == 4
  assert each[str(silent)]["generated"] == {
    "beat_f1": None,
    "grid_agreement": None,
  }
  beats = result["stems"]["drums"]["beat_f1"]["generated"]
  assert (beats["examples"], beats["low"], beats["high"]) == (3, None, None)
  *_, told = loops.table(result).splitlines()
  assert told == f"fewer than two beats were heard in, and left out: {silent}"
  json.dumps(result, allow_nan=False)


def test_one_loop_has_no_other(files, tmp_path):
  player: Any = Player()
  with pytest.raises(ValueError, match="two or more"):
    loops.loops(player, files[:1], tmp_path)
