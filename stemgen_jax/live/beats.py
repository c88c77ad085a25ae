"""Tempo and beats of the latest input."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from stemgen_jax import audio
from stemgen_jax.audio import Audio, tempo
from stemgen_jax.live.grid import Grid

SHORTEST, LONGEST, AGAIN = 8.0, 12.0, 4.0
"""Seconds that a tempo is detected in, and until the next attempt."""

_SAME = 0.015  # relative; detection is mostly within 0.5 % where it is clear


class Beats(NamedTuple):
  """Beats of a steady tempo.

  Attributes:
    bpm: beats per minute.
    beat: sample of the stream where one of them is.
    sample_rate: sample rate of the stream in Hz.
    every: a bar line may be at one of so many beats, counted from `beat`.
  """

  bpm: float
  beat: float
  sample_rate: int
  every: int = 1

  @property
  def period(self) -> float:
    """Samples of a beat."""
    return 60 * self.sample_rate / self.bpm

  def near(self, bpm: float) -> "Beats":
    """Return half or twice the tempo, and so on, where that is nearer."""
    octaves = round(float(np.log2(bpm / self.bpm)))
    return self._replace(bpm=self.bpm * 2.0**octaves)

  def same(self, bpm: float) -> bool:
    """Return whether a tempo is this one, as far as can be detected."""
    return abs(bpm / self.bpm - 1) <= _SAME

  def nearest(self, sample: int) -> int:
    """Return the place of a bar line that is nearest to a sample."""
    period = self.every * self.period
    return round(self.beat + round((sample - self.beat) / period) * period)

  def grid(self, beats_per_bar: int) -> Grid:
    """Return bars from the first place of a bar line in the stream on."""
    first = round(self.beat % (self.every * self.period))
    return Grid(
      bpm=self.bpm,
      sample_rate=self.sample_rate,
      beats_per_bar=beats_per_bar,
      origin=first,
    )


class Detection(NamedTuple):
  """The result of a detection; None where it is unclear."""

  beats: Beats | None


def detect(
  read: Callable[[int, int], Float32[np.ndarray, "n c"]],
  start: int,
  end: int,
  sample_rate: int,
) -> Detection:
  """Detect tempo and beats between two samples of a stream.

  Args:
    read: function that returns samples of the stream.
    start, end: samples of the stream.
    sample_rate: sample rate of the stream in Hz.
  """
  samples = audio.fold_down(read(start, end))
  found = tempo.of(Audio(samples, sample_rate))
  if found.confidence < tempo.CLEAR or not len(found.beats):
    return Detection(None)
  period = 60 / found.bpm  # seconds
  # Mean of the phases, as of angles. The tempo is more exact than one beat.
  angles = np.exp(2j * np.pi * found.beats / period)
  phase = float(np.angle(angles.mean())) / (2 * np.pi) * period
  # Near the end, where an error of the tempo counts least.
  last = phase + period * round((found.beats[-1] - phase) / period)
  return Detection(Beats(found.bpm, start + last * sample_rate, sample_rate))
