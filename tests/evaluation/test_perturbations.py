"""Edits of a part by hand; the renderer returns the edited part instead."""

import numpy as np
import pytest

from stemgen_jax.data.sources import band
from stemgen_jax.evaluation import perturbations

BAND = band.Band(seconds=8.0)
C, A = (0, 4, 7), (9, 0, 4)
NOTES = (
  band.Note(0.0, 0.5, 36, 90),  # C's root
  band.Note(2.0, 2.5, 33, 90),  # A's root
  band.Note(4.0, 4.5, 40, 90),  # A's fifth, a bar after the change
)


def score(part):
  return band.Score(
    genre="techno",
    tempo=120.0,
    meter="4/4",
    swing=0.5,
    key="C",
    mode="major",
    progression="I | vi | vi",
    seconds=8.0,
    beats=tuple(np.arange(0, 8, 0.5)),
    downbeats=(0.0, 2.0, 4.0, 6.0),
    chords=(band.Chord(0, 2, "C", C), band.Chord(2, 8, "Am", A)),
    parts=(part,),
  )


@pytest.fixture
def edits(monkeypatch):
  """Return the rendered notes by the name of a perturbation."""
  rendered = []

  def render(part, seconds, rate, soundfonts):
    rendered.append(part.notes)
    return np.full((round(seconds * rate), 1), 0.5, np.float32)

  monkeypatch.setattr(perturbations, "render", render)

  def edited(is_drum=False):
    part = band.Part("bass", "bass", 33, is_drum, NOTES, 0.5, 0)
    found = {}
    sounds = perturbations.perturbed(BAND, score(part), part, 1.0, 4.0)
    for name, sound in sounds:
      assert sound.seconds == 4.0
      found[name] = (rendered[-1], float(sound.samples[0, 0]))
    return found

  return edited


def test_pitch_and_time_change_alone(edits):
  found = edits()
  assert list(found) == perturbations.names(pitched=True)
  assert found["unchanged"][0] == NOTES
  assert [x.pitch for x in found["transposed -6"][0]] == [30, 27, 34]
  for name, seconds in (("1/16", 0.125), ("1/8", 0.25), ("beat", 0.5)):
    late = found[f"late by {name}"][0]
    assert [x.start for x in late] == pytest.approx(
      [seconds, 2 + seconds, 4 + seconds]
    )
    assert [x.pitch for x in late] == [36, 33, 40]
  assert found["late by bar"][0][1].start == 4.0
  # Around the start of the segment, at 1 s.
  longer = found["stretched 5 %"][0]
  assert [x.start for x in longer] == pytest.approx([0, 2.05, 4.15])


def test_chords_are_held_with_the_same_rhythm(edits):
  held = edits()["chords a bar late"][0]
  assert [x.start for x in held] == [0, 2, 4]
  # C's root again; then A's own chord.
  assert [x.pitch for x in held] == [36, 36, 40]


def test_levels(edits):
  found = edits()
  assert found["level -6 dB"][1] == pytest.approx(0.25, abs=0.002)
  assert found["level +6 dB"][1] == pytest.approx(1.0, abs=0.005)


def test_drums_have_no_pitch(edits):
  assert list(edits(is_drum=True)) == perturbations.names(pitched=False)
