"""The study of loops, with an engine that uses its context or does not."""

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
  """Return a burst of noise on every beat."""
  samples = np.zeros((round(seconds * RATE), 1), np.float32)
  burst = np.random.default_rng(0).normal(0, 0.3, 1500) * np.linspace(
    1, 0, 1500
  )
  for beat in np.arange(0, seconds - 0.1, 60 / bpm):
    first = round(beat * RATE)
    samples[first : first + 1500, 0] = burst
  return Audio(samples, RATE)


@dataclasses.dataclass
class Engine:
  """Returns its context, or the same audio for every context."""

  always: Audio | None = None
  seeds: list = dataclasses.field(default_factory=list)

  def generate(self, context, stem, *, seed, settings):
    self.seeds.append((stem, seed))
    return types.SimpleNamespace(audio=self.always or context)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  folder = tmp_path_factory.mktemp("loops")
  for bpm in (84, 100, 140):
    # Two bars of 4/4, which repeat without a gap.
    audio.write(folder / f"{bpm}.wav", clicks(bpm, 8 * 60 / bpm), bits=16)
  return disk.matching(str(folder / "*.wav"))


def test_a_stem_equal_to_the_loop_has_the_loops_figures(files, tmp_path):
  engine: Any = Engine()
  result = loops.loops(
    engine, files, tmp_path / "out", stems=["drums"], seconds=9.0, seed=5
  )
  assert engine.seeds == [("drums", 5), ("drums", 6), ("drums", 7)]
  loop = audio.read(tmp_path / "out" / "001-140.wav")
  stem = audio.read(tmp_path / "out" / "001-140-drums.wav")
  assert loop.seconds == 9.0
  np.testing.assert_array_equal(stem.samples, loop.samples)
  beats = result["stems"]["drums"]["beat_f1"]
  assert beats["generated"] == beats["loop"]
  assert beats["loop"]["mean"] == 1.0
  assert beats["other"]["mean"] < 0.7
  slow, fast = (str(files[0].with_name(f"{bpm}.wav")) for bpm in (84, 140))
  assert result["beats"][fast] > result["beats"][slow] > 9
  assert set(result["each"]["drums"]) == set(map(str, files))
  assert "drums beat_f1" in loops.table(result)


def test_a_stem_independent_of_the_loop_has_the_others_figures(files, tmp_path):
  engine: Any = Engine(clicks(117.0, 9.0))
  result = loops.loops(
    engine, files, tmp_path / "out", stems=["bass"], seconds=9.0
  )
  figures = result["stems"]["bass"]["beat_f1"]
  assert figures["generated"]["mean"] == figures["other"]["mean"] < 0.8


def test_a_loop_without_beats_is_omitted(files, tmp_path):
  silent = tmp_path / files[0].name  # of the same name, in another folder
  audio.write(silent, Audio(np.zeros((RATE, 1), np.float32), RATE), bits=16)
  engine: Any = Engine()
  result = loops.loops(
    engine, [*files, silent], tmp_path / "out", stems=["drums"], seconds=9.0
  )
  each = result["each"]["drums"]
  assert len(each) == 4
  assert each[str(silent)]["generated"] == {
    "beat_f1": None,
    "grid_agreement": None,
  }
  beats = result["stems"]["drums"]["beat_f1"]["generated"]
  assert (beats["examples"], beats["low"], beats["high"]) == (3, None, None)
  *_, last = loops.table(result).splitlines()
  assert last == f"omitted, fewer than two beats: {silent}"
  json.dumps(result, allow_nan=False)


def test_one_loop_is_refused(files, tmp_path):
  engine: Any = Engine()
  with pytest.raises(ValueError, match="1 loops: expected at least 2"):
    loops.loops(engine, files[:1], tmp_path)
