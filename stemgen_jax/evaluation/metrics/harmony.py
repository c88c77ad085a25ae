"""Does a stem fit the harmony of its context?"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio.analysis import mir_eval
from stemgen_jax.evaluation.metrics import notes

FRAME_RATE = notes.FRAME_RATE
"""Chroma frames per second."""

_SOUNDING = 0.3  # least activity of a key that sounds
_CHORD_SECONDS = 0.5  # least duration of an estimated chord
TONES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
"""Names of the pitch classes."""
# Fit of tones to a key, from its tonic on (Krumhansl and Kessler, 1982).
_PROFILES = {
  "major": "6.35 2.23 3.48 2.33 4.38 4.09 2.52 5.19 2.39 3.66 2.29 2.88",
  "minor": "6.33 2.68 3.52 5.38 2.60 3.53 2.54 4.75 3.98 2.69 3.34 3.17",
}
_TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}

Chroma = Float[np.ndarray, "t 12"]


@dataclasses.dataclass(frozen=True)
class Span:
  """A chord with its start and end in seconds; pitch class 0 is C."""

  start: float
  end: float
  pitch_classes: tuple[int, ...]


def chroma(samples: Float[np.ndarray, " n"], sample_rate: int) -> Chroma:
  """Compute the activity of the pitch classes from C on.

  It is that of notes, without their overtones, `FRAME_RATE` rows per second. A
  row of zeros is a frame without notes.
  """
  return fold(notes.posteriors(samples, sample_rate)[0])


def fold(activity: notes.Keys) -> Chroma:
  """Compute the activity of pitch classes from that of the 88 keys."""
  activity = activity.reshape(-1, activity.shape[2])  # [t, 88]
  sounding = np.where(activity > _SOUNDING, activity, 0)
  rows = np.zeros((len(sounding), 12))
  for key_number, column in enumerate(sounding.T, notes.LOWEST):
    # Fold octaves: several keys share a pitch class.
    rows[:, key_number % 12] += column
  return rows


def chord_tone_share(stem: Chroma, chords: Sequence[Span]) -> float:
  """Compute the share of the stem's activity on tones of the current chord.

  Args:
    stem: chroma of the stem.
    chords: chords of the context.

  Returns:
    0..1; 0 for a silent stem, NaN without chords.
  """
  if not chords:
    return float("nan")
  inside, total = 0.0, 0.0
  for chord in chords:
    # From seconds to frames.
    first, last = (round(t * FRAME_RATE) for t in (chord.start, chord.end))
    rows = stem[first:last]
    inside += float(rows[:, list(chord.pitch_classes)].sum())
    total += float(rows.sum())
  return inside / total if total else 0.0


def chroma_agreement(stem: Chroma, context: Chroma) -> float:
  """Compute the mean cosine of two chromas over the frames where both sound.

  Returns:
    0..1; 0 for a silent stem, NaN for a silent context.
  """
  if not context.any():
    return float("nan")
  frames = min(len(stem), len(context))
  ours, theirs = stem[:frames], context[:frames]
  # [frames]: where both have notes.
  both = ours.any(1) & theirs.any(1)
  if not both.any():
    return 0.0
  ours, theirs = ours[both], theirs[both]
  lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
  return float(((ours * theirs).sum(1) / lengths).mean())


def key_agreement(wanted: str, stem: Chroma) -> float:
  """Score the stem's key against the context's by MIREX's weights.

  Args:
    wanted: key of the context, as "A minor".
    stem: chroma of the stem.

  Returns:
    1 for the same key, 0.5 a fifth above, 0.3 relative, 0.2 parallel, else 0.
  """
  if not stem.any():
    return 0.0
  return float(mir_eval.key.weighted_score(wanted, key(stem)))


def key(chroma: Chroma) -> str:
  """Return the key whose profile correlates best with the mean chroma."""
  mean = chroma.mean(0)
  if not np.ptp(mean):  # silence has no correlation
    return "C major"
  # Correlation ignores loudness and offset of the chroma.
  fits = {
    f"{name} {mode}": np.corrcoef(np.roll(_numbers(profile), tonic), mean)[0, 1]
    for tonic, name in enumerate(TONES)
    for mode, profile in _PROFILES.items()
  }
  return max(fits, key=lambda name: fits[name])


def _numbers(text: str) -> Float[np.ndarray, " n"]:
  return np.array(text.split(), float)


def chords(chroma: Chroma) -> tuple[Span, ...]:
  """Return the major and minor triads that fit each half second best."""
  names = [
    tuple((root + tone) % 12 for tone in tones)
    for root in range(12)
    for tones in _TRIADS.values()
  ]
  masks = np.zeros((len(names), 12))  # 1 at the tones of each triad
  for mask, tones in zip(masks, names):
    mask[list(tones)] = 1
  step = round(_CHORD_SECONDS * FRAME_RATE)
  spans: list[Span] = []
  for first in range(0, len(chroma), step):
    mean = chroma[first : first + step].mean(0)
    if not mean.any():
      continue
    # [24] scores: activity on the tones of each triad.
    best = names[int((masks @ mean).argmax())]
    start = first / FRAME_RATE
    end = min(first + step, len(chroma)) / FRAME_RATE
    # Extend the span before, if it has the same chord.
    if spans and spans[-1].end == start and spans[-1].pitch_classes == best:
      spans[-1] = dataclasses.replace(spans[-1], end=end)
    else:
      spans.append(Span(start, end, best))
  return tuple(spans)
