import numpy as np
import pytest

from stemgen_jax.evaluation.metrics import chord_changes, notes
from stemgen_jax.evaluation.metrics.harmony import FRAME_RATE, Span

C, A, F = (0, 4, 7), (9, 0, 4), (5, 9, 0)
CHORDS = (Span(0, 2, C), Span(2, 4, A), Span(4, 5, A), Span(5, 8, F))
BEATS = np.arange(0, 8, 0.5)


def onsets(*struck):
  """Return posteriors with notes, (seconds, MIDI pitch)."""
  found = np.zeros((4, 172, 88))
  for seconds, pitch in struck:
    frame = round(seconds * FRAME_RATE)
    found.reshape(-1, 88)[frame, pitch - notes.LOWEST] = 0.9
  return found


def test_repeated_chords_are_no_changes():
  assert [x.start for x in chord_changes.changes(CHORDS)] == [2, 5]


@pytest.mark.parametrize(
  ("struck", "expected"),
  [
    (((0, 36), (2, 33), (5, 41)), 1.0),  # C, A, F
    (((2, 33), (5, 36)), 0.5),  # F's fifth
    (((2, 33), (2.01, 40), (5.01, 48), (5.03, 41)), 1.0),  # overtones
    (((2, 40), (2.5, 33), (5, 41)), 0.5),  # the root is second
    (((1.95, 33),), 1.0),  # early; no note after the other change
    (((1.8, 33),), 0.0),  # before the change
    ((), 0.0),
  ],
)
def test_root_on_change_by_hand(struck, expected):
  assert chord_changes.root_on_change(onsets(*struck), CHORDS) == expected


def test_without_changes_there_is_no_figure():
  assert np.isnan(chord_changes.root_on_change(onsets((2, 33)), CHORDS[:1]))
  chroma = np.ones((600, 12))
  assert np.isnan(chord_changes.change_timing(chroma, CHORDS[:1], BEATS))


def chroma(*spans):
  found = np.zeros((round(8 * FRAME_RATE), 12))
  for first, last, tones in spans:
    rows = slice(round(first * FRAME_RATE), round(last * FRAME_RATE))
    found[rows, list(tones)] = 1
  return found


def test_change_timing_by_hand():
  right = chroma((0, 2, C), (2, 5, A), (5, 8, F))
  assert chord_changes.change_timing(right, CHORDS, BEATS) == 1
  late = chroma((0, 3, C), (3, 6, A), (6, 8, F))
  assert chord_changes.change_timing(late, CHORDS, BEATS) < 0.5
  for constant in (chroma((0, 8, C)), chroma()):  # a drone, silence
    found = chord_changes.change_timing(constant, CHORDS, BEATS)
    assert found == pytest.approx(0.5)
