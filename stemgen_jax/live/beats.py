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
  """

  bpm: float
  beat: float
  sample_rate: int

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
    """Return the beat that is nearest to a sample of the stream."""
    beats = round((sample - self.beat) / self.period)
    return round(self.beat + beats * self.period)

  def grid(self, beats_per_bar: int) -> Grid:
    """Return bars that begin with the first beat of the stream."""
    first = round(self.beat % self.period)
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
