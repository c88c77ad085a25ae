"""Bar lines as samples of a stream, without drift."""

import dataclasses
import math
from fractions import Fraction

USUAL_BPM = 120.0
"""Tempo to plan with while that of the music is not known yet."""

_SLOWEST, _FASTEST = 20.0, 400.0  # beats per minute
_WHOLE = 0.15  # beats by which a loop may miss whole bars


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
  """Where bars and beats are in a stream.

  Bar lines are rounded one by one from an exact product, so that errors do not
  add up. Bars count from 0; displays count from 1.

  Attributes:
    bpm: beats per minute, 20 to 400.
    sample_rate: sample rate of the stream in Hz.
    beats_per_bar: beats of a bar, at least 1.
    origin: sample of the first beat of bar `first_bar`.
    first_bar: number of that bar.
  """

  bpm: float
  sample_rate: int
  beats_per_bar: int = 4
  origin: int = 0
  first_bar: int = 0

  def __post_init__(self):
    if not _SLOWEST <= self.bpm <= _FASTEST:
      raise ValueError(
        f"tempo {self.bpm:g} bpm: expected {_SLOWEST:g} to {_FASTEST:g}"
      )
    if self.beats_per_bar < 1:
      raise ValueError(
        f"{self.beats_per_bar} beats per bar: expected 1 or more"
      )

  def beat(self, number: float) -> int:
    """Return the sample of a beat, counted from bar 0."""
    beats = Fraction(number) - self.first_bar * self.beats_per_bar
    return self.origin + round(beats * self._period)

  def bar(self, number: int) -> int:
    """Return the sample of a bar line."""
    return self.beat(number * self.beats_per_bar)

  def beats(self, count: float) -> int:
    """Return the samples of so many beats, rounded."""
    return round(Fraction(count) * self._period)

  def bar_at(self, sample: int) -> int:
    """Return the bar that a sample is in."""
    bars = Fraction(sample - self.origin) / (self._period * self.beats_per_bar)
    number = math.floor(bars) + self.first_bar
    # A bar line is rounded, so its bar may begin up to half a sample earlier.
    return number + 1 if self.bar(number + 1) <= sample else number

  def beat_in_bar(self, sample: int) -> int:
    """Return the beat of its bar that a sample is in, counted from 1."""
    number = 1 + (sample - self.bar(self.bar_at(sample))) // self.beats(1)
    return min(number, self.beats_per_bar)  # beats(1) is rounded

  def first_bar_from(self, sample: int) -> int:
    """Return the first bar that begins at a sample or later."""
    number = self.bar_at(sample)
    return number if self.bar(number) == sample else number + 1

  def whole_bars(self, samples: int) -> int:
    """Return the bars of a loop of so many samples, which `of_loop` has."""
    # The last bar line may be rounded to the sample before the end.
    return self.first_bar_from(samples - 1)

  def moved(self, bar: int, *, bpm: float, to: int) -> "Grid":
    """Return a grid on which `bar` begins at sample `to`, in another tempo."""
    return dataclasses.replace(self, bpm=bpm, origin=to, first_bar=bar)

  @classmethod
  def of_loop(
    cls, samples: int, sample_rate: int, bpm: float, beats_per_bar: int = 4
  ) -> "Grid":
    """Return the bars of a loop.

    Args:
      samples: one period of the loop.
      sample_rate: sample rate of the loop in Hz.
      bpm: its tempo, about.
      beats_per_bar: beats of a bar.

    Raises:
      ValueError: it has no whole bars.
    """
    cls(bpm=bpm, sample_rate=sample_rate, beats_per_bar=beats_per_bar)
    seconds = samples / sample_rate
    bar = beats_per_bar * 60 / bpm
    bars = max(1, round(seconds / bar))
    if abs(seconds - bars * bar) * bpm / 60 > _WHOLE:
      raise ValueError(
        f"{seconds * bpm / 60:.1f} beats at {bpm:g} bpm; expected whole bars "
        f"of {beats_per_bar}"
      )
    return cls(
      bpm=bars * beats_per_bar * 60 / seconds,
      sample_rate=sample_rate,
      beats_per_bar=beats_per_bar,
    )

  @property
  def _period(self) -> Fraction:
    """Samples of a beat."""
    return 60 * self.sample_rate / Fraction(self.bpm)
