"""Does a stem follow the chords when they change?

A stem that sounds the tonic's chord throughout shares many tones with the
chords of its key, but changes nothing when they do.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from stemgen_jax.evaluation.metrics import notes
from stemgen_jax.evaluation.metrics.harmony import FRAME_RATE, Span

_EARLY = 0.07  # seconds that a note may begin before its chord
_TOGETHER = 3  # frames within which the notes of one stroke begin
_SIDE = 0.4  # seconds of chroma on each side of a change


def changes(chords: Sequence[Span]) -> list[Span]:
  """Return the chords that differ from the one before; not the first."""
  return [
    after
    for before, after in itertools.pairwise(chords)
    if before.pitch_classes != after.pitch_classes
  ]


def root_on_change(
  onsets: Float[np.ndarray, "windows t 88"], chords: Sequence[Span]
) -> float:
  """Compute the share of chord changes whose first note is the root.

  Args:
    onsets: posteriors of the onsets of a bass, see `notes.posteriors`.
    chords: chords of the context, root first.

  Returns:
    0..1 over the changes with a note before the next change; 0 without any
    note, NaN without a change.
  """
  wanted = changes(chords)
  if not wanted:
    return float("nan")
  frames, keys = notes.struck(onsets.reshape(-1, onsets.shape[2]))
  hits = []
  for chord in wanted:
    first, last = (
      round((time - _EARLY) * FRAME_RATE) for time in (chord.start, chord.end)
    )
    inside = frames[(frames >= first) & (frames < last)]
    if not len(inside):
      continue
    # The lowest of a stroke; the others are mostly its overtones.
    stroke = (frames >= inside[0]) & (frames < inside[0] + _TOGETHER)
    key = notes.LOWEST + int(keys[stroke].min())
    hits.append(key % 12 == chord.pitch_classes[0])
  return float(np.mean(hits)) if hits else 0.0


def change_timing(
  chroma: Float[np.ndarray, "t 12"],
  chords: Sequence[Span],
  beats: Float[np.ndarray, " n"],
) -> float:
  """Compare changes of the chroma at chord changes with those at other times.

  Args:
    chroma: chroma of the stem.
    chords: chords of the context.
    beats: its beats in seconds; they and the off-beats are the other times.

  Returns:
    Probability (AUC) that the chroma changes more at a chord change than at
    another time: 0.5 for a stem that does not change, NaN without changes or
    without other times.
  """
  end = len(chroma) / FRAME_RATE - _SIDE
  at = np.array([chord.start for chord in changes(chords)])
  at = at[(at > _SIDE) & (at < end)]
  other = np.sort(np.concatenate([beats, (beats[1:] + beats[:-1]) / 2]))
  other = other[(other > _SIDE) & (other < end)]
  if not len(at):
    return float("nan")
  # [other]: distance to the nearest change.
  other = other[np.abs(other[:, None] - at).min(1) > _EARLY]
  if not len(other):
    return float("nan")
  changing, staying = (
    [_novelty(chroma, time) for time in times] for times in (at, other)
  )
  above = stats.mannwhitneyu(changing, staying).statistic
  return float(above / (len(at) * len(other)))


def _novelty(chroma: Float[np.ndarray, "t 12"], time: float) -> float:
  """Return 1 - cosine of the mean chroma before and after a time."""
  middle, side = round(time * FRAME_RATE), round(_SIDE * FRAME_RATE)
  before = chroma[middle - side : middle].sum(0)
  after = chroma[middle : middle + side].sum(0)
  norm = np.linalg.norm(before) * np.linalg.norm(after)
  # A side without notes shows no change.
  return float(1 - before @ after / norm) if norm else 0.0
