"""The study of recordings, with an engine that uses its context or does not."""

import dataclasses
import json
import types
from typing import Any

import numpy as np
import pytest

from stemgen_jax import audio, disk, paths
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation.studies import retrieval

RATE = 22050


def notes(*pitches, step: float) -> Audio:
  """Return 4 s of decaying tones, a step apart."""
  samples = np.zeros((4 * RATE, 1), np.float32)
  length = round(step * RATE)
  time = np.arange(length) / RATE
  for number in range(4 * RATE // length):
    tone = 440 * 2 ** ((pitches[number % len(pitches)] - 69) / 12)
    wave = sum(np.sin(2 * np.pi * tone * x * time) / x**2 for x in (1, 2, 3))
    part = samples[number * length : (number + 1) * length, 0]
    part[:] = 0.2 * wave * np.exp(-3 * time)
  return Audio(samples, RATE)


@dataclasses.dataclass
class Engine:
  """Returns its context, or the same audio for every context."""

  always: Audio | None = None

  def generate(self, context, stem, *, seed, settings):
    return types.SimpleNamespace(audio=self.always or context)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  folder = tmp_path_factory.mktemp("recordings")
  sounds = {
    "chords.c": notes(60, 64, 67, step=0.5),
    "chords.f": notes(54, 58, 61, step=0.37),
    "unlisted": notes(62, step=0.29),
  }
  for name, sound in sounds.items():
    audio.write(folder / f"{name}.wav", sound, bits=16)
  return disk.matching(str(folder / "*.wav"))


def test_a_copy_finds_its_recording(files, tmp_path):
  engine: Any = Engine()
  result = retrieval.retrieval(
    engine, files, tmp_path, stems=["drums", "piano"], seconds=4.0
  )
  assert result["pitched"] == [str(path) for path in files[:2]]
  third = pytest.approx(1 / 3)
  expected = {"onsets": third, "coherence": third, "chroma": 0.5}
  assert result["chance"] == expected
  # Drums have no pitch.
  assert set(result["stems"]["drums"]) == {"onsets", "coherence"}
  for kind, of in result["stems"]["piano"].items():
    assert of["generated"] == of["copy"]
    if kind == "coherence":  # a copy is no stem
      continue
    assert of["generated"]["top_1"]["mean"] == 1
    assert of["random"]["top_1"]["mean"] == 0
    assert of["random"]["mrr"]["mean"] <= 0.5
  assert len(list(tmp_path.iterdir())) == 6
  assert "piano, chroma top_1" in retrieval.table(result)
  json.dumps(result, allow_nan=False)


def test_equal_stems_find_nothing(files, tmp_path):
  engine: Any = Engine(notes(60, step=0.5))
  result = retrieval.retrieval(
    engine, files, tmp_path, stems=["piano"], seconds=4.0
  )
  for kind, of in result["stems"]["piano"].items():
    assert of["generated"]["top_1"]["mean"] == 0  # all tie
    assert of["copy"]["top_1"]["mean"] == 1 or kind == "coherence"


def test_one_recording_is_refused(files, tmp_path):
  engine: Any = Engine()
  with pytest.raises(ValueError, match="1 recordings: expected at least 2"):
    retrieval.retrieval(engine, files[:1], tmp_path)


def test_the_list_has_the_packages_chords():
  assert paths.PITCHED_RECORDINGS.is_file()
  assert "chords.*" in retrieval.pitched_patterns()
