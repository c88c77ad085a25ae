"""Reference annotations of a context: its beats, chords and key.

They are known for the band's songs, and in part for those of MIDI files. For
other music they are estimated from the context, and figures measured against
them inherit the estimates' errors.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from stemgen_jax.data.sources.band import Chord, Score
from stemgen_jax.data.sources.band.genres import BOOK
from stemgen_jax.data.sources.band.harmony import MODES
from stemgen_jax.data.sources.band.rhythm import METERS
from stemgen_jax.data.sources.midi import Score as MidiScore
from stemgen_jax.data.sources.midi import clock
from stemgen_jax.evaluation.metrics import downbeats as downbeats_lib
from stemgen_jax.evaluation.metrics import harmony, rhythm


@dataclasses.dataclass(frozen=True)
class ReferenceAnnotations:
  """Annotations of a piece of music that begins at 0 s.

  Attributes:
    beats: times in seconds, ascending.
    grid: grid of onsets.
    chords: chords in order.
    key: tonic and mode as in mir_eval: "A minor".
    estimated: whether any of them is estimated from the audio.
    downbeats: first beats of bars in seconds, with the last one before and
      the first one after the piece if these are known.
  """

  beats: Float[np.ndarray, " n"]
  grid: rhythm.Grid
  chords: tuple[harmony.Span, ...]
  key: str
  estimated: bool
  downbeats: Float[np.ndarray, " bars"] = dataclasses.field(
    default_factory=lambda: np.zeros(0)
  )

  def within(self, start: float, stop: float) -> "ReferenceAnnotations":
    """Return the annotations of a part of the piece, between two seconds."""
    inside = (self.beats >= start) & (self.beats < stop)
    return dataclasses.replace(
      self,
      beats=self.beats[inside] - start,
      chords=_spans(self.chords, start, stop - start),
      downbeats=_bars(self.downbeats, start, stop - start),
    )


def of_score(
  score: Score, start: float, seconds: float
) -> ReferenceAnnotations:
  """Return the annotations of a band's song from `start` seconds on."""
  beats = np.array(score.beats) - start
  minor = 3 in MODES[score.mode]
  return ReferenceAnnotations(
    beats=beats[(beats >= 0) & (beats < seconds)],
    grid=_grid(score),
    chords=_spans(score.chords, start, seconds),
    key=f"{score.key} {'minor' if minor else 'major'}",
    estimated=False,
    downbeats=_bars(score.downbeats, start, seconds),
  )


def of_midi(
  score: MidiScore,
  start: float,
  seconds: float,
  estimated: ReferenceAnnotations,
) -> ReferenceAnnotations:
  """Return the annotations of a MIDI file from `start` seconds on.

  Args:
    score: score of the file.
    start: beginning of the segment in seconds.
    seconds: its length.
    estimated: estimates that stand for what the file does not state.
  """
  beats = np.array(score.beats) - start
  meter = [meter for time, meter in score.meters if time <= start][-1]
  keys = [key for time, key in score.keys if time <= start]
  chords = _spans(score.chords, start, seconds)
  return ReferenceAnnotations(
    beats=beats[(beats >= 0) & (beats < seconds)]
    if score.beats
    else estimated.beats,
    grid=rhythm.Grid(6 if clock.is_compound(meter) else 4),
    chords=chords or estimated.chords,
    key=keys[-1] if keys else estimated.key,
    estimated=not (score.beats and chords and keys),
    downbeats=_bars(score.downbeats, start, seconds),
  )


def _bars(
  downbeats: Sequence[float] | Float[np.ndarray, " n"],
  start: float,
  seconds: float,
) -> Float[np.ndarray, " bars"]:
  """Return the downbeats of a segment and the nearest ones around it."""
  times = np.array(downbeats) - start
  first = np.searchsorted(times, 0, side="right") - 1
  last = np.searchsorted(times, seconds)
  return times[max(first, 0) : last + 1]


def _spans(
  chords: Iterable[Chord | harmony.Span], start: float, seconds: float
) -> tuple[harmony.Span, ...]:
  """Return the chords within a segment, from its start."""
  return tuple(
    harmony.Span(
      max(0.0, chord.start - start),
      min(seconds, chord.end - start),
      chord.pitch_classes,
    )
    for chord in chords
    if chord.end > start and chord.start < start + seconds
  )


def _grid(score: Score) -> rhythm.Grid:
  if score.meter == "6/8":
    # Three parts per beat, two grid lines each.
    return rhythm.Grid(6)
  # Steps of the swung pair, in beats.
  pair = BOOK[score.genre].pair / METERS[score.meter].beat
  return rhythm.Grid(4, score.swing, pair)


def estimate(
  context: Float[np.ndarray, " samples"],
  sample_rate: int,
  *,
  bars: bool = False,
) -> ReferenceAnnotations:
  """Estimate the annotations of music without a score.

  Args:
    context: samples of the music.
    sample_rate: their sample rate in Hz.
    bars: also detect downbeats.
  """
  downbeats = np.zeros(0)
  if bars:
    downbeats = downbeats_lib.downbeats(context, sample_rate)
  chroma = harmony.chroma(context, sample_rate)  # [t, 12]
  return ReferenceAnnotations(
    beats=rhythm.beats(context, sample_rate),
    # Sixteenths of straight 4/4, the most common grid.
    grid=rhythm.Grid(4),
    chords=harmony.chords(chroma),
    key=harmony.key(chroma),
    estimated=True,
    downbeats=downbeats,
  )
