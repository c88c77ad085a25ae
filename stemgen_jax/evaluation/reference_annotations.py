"""What is true of a piece of music: its beats, its chords, its key.

The band's songs say so themselves. For other music a context is listened to:
then every figure that is measured against it holds for what was heard in it.
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
class Truth:
  """Of a piece of music that begins at 0 s.

  Attributes:
    beats: in seconds, ascending.
    grid: that onsets lie on.
    chords: those that sound, in order.
    key: tonic and mode, as mir_eval writes it: "A minor".
    estimated: heard in the music, not known.
  """

  beats: Float[np.ndarray, " n"]
  grid: rhythm.Grid
  chords: tuple[harmony.Span, ...]
  key: str
  estimated: bool


def of_score(score: Score, start: float, seconds: float) -> Truth:
  """Of the part of a band's song that begins at `start` seconds."""
  beats = np.array(score.beats) - start
  minor = 3 in MODES[score.mode]
  return Truth(
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
    return rhythm.Grid(6)
  pair = BOOK[score.genre].pair / METERS[score.meter].beat
  return rhythm.Grid(4, score.swing, pair)


def heard_in(context: Float[np.ndarray, " samples"], sample_rate: int) -> Truth:
  """Of music that nobody wrote down, as it is heard."""
  chroma = harmony.chroma(context, sample_rate)
  return Truth(
    beats=rhythm.beats(context, sample_rate),
    grid=rhythm.Grid(4),
    chords=harmony.chords(chroma),
    key=harmony.key(chroma),
    estimated=True,
  )
