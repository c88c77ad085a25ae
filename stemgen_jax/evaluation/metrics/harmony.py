"""Does a stem play the harmony of its context?"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from stemgen_jax.codec.training.agreement import mir_eval
from stemgen_jax.evaluation.metrics import notes

UNPITCHED = ("drums", "percussive", "sound_effects")
"""Categories that have no harmony."""

FRAME_RATE = notes.FRAME_RATE
"""Frames of a chroma per second."""

_SOUNDING = 0.3  # activity from which on a key counts as played
_CHORD_SECONDS = 0.5  # that a heard chord lasts at least
TONES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
"""Names of the pitch classes."""
# How well tones fit a key from its tonic on (Krumhansl and Kessler, 1982).
_PROFILES = {
  "major": "6.35 2.23 3.48 2.33 4.38 4.09 2.52 5.19 2.39 3.66 2.29 2.88",
  "minor": "6.33 2.68 3.52 5.38 2.60 3.53 2.54 4.75 3.98 2.69 3.34 3.17",
}
_TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}


@dataclasses.dataclass(frozen=True)
class Span:
  """A chord from start to end, in seconds; its pitch classes, C is 0."""

  start: float
  end: float
  pitch_classes: tuple[int, ...]


def chroma(
  samples: Float[np.ndarray, " n"], sample_rate: int
) -> Float[np.ndarray, "t 12"]:
  """Activity of the pitch classes from C on, `FRAME_RATE` rows a second.

  Of notes, not of partials: the overtones of a tone are none of its chroma.
  A row of zeros is a frame without notes.
  """
  activity, _ = notes.posteriors(samples, sample_rate)
  activity = activity.reshape(-1, activity.shape[2])
  sounding = np.where(activity > _SOUNDING, activity, 0)
  rows = np.zeros((len(sounding), 12))
  for key_number, column in enumerate(sounding.T, notes.LOWEST):
    rows[:, key_number % 12] += column
  return rows


def chord_tone_share(
  played: Float[np.ndarray, "t 12"], chords: Sequence[Span]
) -> float:
  """Share of what is played that are tones of the chord of that moment.

  Args:
    played: chroma of the stem.
    chords: of the context.

  Returns:
    0..1; 0 where nothing is played, NaN without chords.
  """
  if not chords:
    return float("nan")
  inside, total = 0.0, 0.0
  for chord in chords:
    first, last = (round(t * FRAME_RATE) for t in (chord.start, chord.end))
    rows = played[first:last]
    inside += float(rows[:, list(chord.pitch_classes)].sum())
    total += float(rows.sum())
  return inside / total if total else 0.0


def chroma_agreement(
  played: Float[np.ndarray, "t 12"], context: Float[np.ndarray, "t 12"]
) -> float:
  """Cosine of the two chromas, mean over the frames where both sound.

  Returns:
    0..1; 0 where the stem is silent, NaN where the context is.
  """
  if not context.any():
    return float("nan")
  frames = min(len(played), len(context))
  ours, theirs = played[:frames], context[:frames]
  both = ours.any(1) & theirs.any(1)
  if not both.any():
    return 0.0
  ours, theirs = ours[both], theirs[both]
  lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
  return float(((ours * theirs).sum(1) / lengths).mean())


def key_agreement(wanted: str, played: Float[np.ndarray, "t 12"]) -> float:
  """How near the stem's key is to the context's, as MIREX counts it.

  Args:
    wanted: the context's key, "A minor".
    played: chroma of the stem.

  Returns:
    1 for the same key, 0.5 a fifth above, 0.3 relative, 0.2 parallel, else 0.
  """
  if not played.any():
    return 0.0
  return float(mir_eval.key.weighted_score(wanted, key(played)))


def key(heard: Float[np.ndarray, "t 12"]) -> str:
  """The key whose profile correlates best with the mean chroma."""
  mean = heard.mean(0)
  if not np.ptp(mean):  # silence says nothing
    return "C major"
  fits = {
    f"{name} {mode}": np.corrcoef(np.roll(_numbers(profile), tonic), mean)[0, 1]
    for tonic, name in enumerate(TONES)
    for mode, profile in _PROFILES.items()
  }
  return max(fits, key=lambda name: fits[name])


def _numbers(text: str) -> Float[np.ndarray, " n"]:
  return np.array(text.split(), float)


def chords(heard: Float[np.ndarray, "t 12"]) -> tuple[Span, ...]:
  """Major and minor triads that fit the chroma best, half-second-wise."""
  names = [
    tuple((root + tone) % 12 for tone in tones)
    for root in range(12)
    for tones in _TRIADS.values()
  ]
  masks = np.zeros((len(names), 12))
  for mask, tones in zip(masks, names):
    mask[list(tones)] = 1
  step = round(_CHORD_SECONDS * FRAME_RATE)
  spans: list[Span] = []
  for first in range(0, len(heard), step):
    mean = heard[first : first + step].mean(0)
    if not mean.any():
      continue
    best = names[int((masks @ mean).argmax())]
    start = first / FRAME_RATE
    end = min(first + step, len(heard)) / FRAME_RATE
    if spans and spans[-1].end == start and spans[-1].pitch_classes == best:
      spans[-1] = dataclasses.replace(spans[-1], end=end)
    else:
      spans.append(Span(start, end, best))
  return tuple(spans)
