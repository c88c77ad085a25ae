"""Reference annotations of a context: its beats, chords and key.

They are known for the band's songs. For other music they are estimated from
the context, and figures measured against them inherit the estimates' errors.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from stemgen_jax.data.sources.band import Score
from stemgen_jax.data.sources.band.genres import BOOK
from stemgen_jax.data.sources.band.harmony import MODES
from stemgen_jax.data.sources.band.rhythm import METERS
from stemgen_jax.evaluation.metrics import harmony, rhythm


@dataclasses.dataclass(frozen=True)
class ReferenceAnnotations:
  """Annotations of a piece of music that begins at 0 s.

  Attributes:
    beats: times in seconds, ascending.
    grid: grid of onsets.
    chords: chords in order.
    key: tonic and mode as in mir_eval: "A minor".
    estimated: whether they are estimated from the audio.
  """

  beats: Float[np.ndarray, " n"]
  grid: rhythm.Grid
  chords: tuple[harmony.Span, ...]
  key: str
  estimated: bool


def of_score(
  score: Score, start: float, seconds: float
) -> ReferenceAnnotations:
  """Return the annotations of a band's song from `start` seconds on."""
  beats = np.array(score.beats) - start
  minor = 3 in MODES[score.mode]
  return ReferenceAnnotations(
    beats=beats[(beats >= 0) & (beats < seconds)],
    grid=_grid(score),
    chords=tuple(
      harmony.Span(
        max(0.0, chord.start - start),
        min(seconds, chord.end - start),
        chord.pitch_classes,
      )
      for chord in score.chords
      if chord.end > start and chord.start < start + seconds
    ),
    key=f"{score.key} {'minor' if minor else 'major'}",
    estimated=False,
  )


def _grid(score: Score) -> rhythm.Grid:
  if score.meter == "6/8":
    # Three parts per beat, two grid lines each.
    return rhythm.Grid(6)
  # Steps of the swung pair, in beats.
  pair = BOOK[score.genre].pair / METERS[score.meter].beat
  return rhythm.Grid(4, score.swing, pair)


def estimate(
  context: Float[np.ndarray, " samples"], sample_rate: int
) -> ReferenceAnnotations:
  """Estimate the annotations of music without a score."""
  chroma = harmony.chroma(context, sample_rate)  # [t, 12]
  return ReferenceAnnotations(
    beats=rhythm.beats(context, sample_rate),
    # Sixteenths of straight 4/4, the most common grid.
    grid=rhythm.Grid(4),
    chords=harmony.chords(chroma),
    key=harmony.key(chroma),
    estimated=True,
  )
