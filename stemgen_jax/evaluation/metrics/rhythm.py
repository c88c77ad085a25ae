"""Does a stem follow the beat of its context?"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio.analysis import librosa, mir_eval, quiet

# 11.6 ms per frame, well below the tolerance of 70 ms.
_HOP = 256
_RATE = 22050
FRAME_RATE = _RATE / _HOP
"""Frames of `strength` per second."""

Mono = Float[np.ndarray, " _"]
Times = Float[np.ndarray, " _"]  # in seconds


@dataclasses.dataclass(frozen=True)
class Grid:
  """Grid of the times at which notes begin.

  Attributes:
    steps: grid lines per beat: 4, or 6 if a beat has three parts.
    swing: share of a pair of notes taken by its first; 0.5 is straight.
    pair: duration of such a pair in beats; a beat is a multiple of it.
  """

  steps: int
  swing: float = 0.5
  pair: float = 1.0

  def straight(self, number: Times) -> Times:
    """Remove the swing from times in beats."""
    # Map the first note of a pair, which takes `swing`, to one half of it.
    pairs, inside = np.divmod(number / self.pair, 1.0)
    inside = np.where(
      inside < self.swing,
      inside * 0.5 / self.swing,
      0.5 + (inside - self.swing) * 0.5 / (1 - self.swing),
    )
    return (pairs + inside) * self.pair


class Pulse(NamedTuple):
  """Beats and onsets of a sound in seconds."""

  beats: Times
  onsets: Times


def strength(samples: Mono, sample_rate: int) -> Float[np.ndarray, " t"]:
  """Estimate the onset strength, `FRAME_RATE` per second; empty in silence."""
  sound = _resampled(samples, sample_rate)
  if sound is None:
    return np.zeros(0)
  with quiet():
    return librosa.onset.onset_strength(y=sound, sr=_RATE, hop_length=_HOP)


def pulse(samples: Float[np.ndarray, " n"], sample_rate: int) -> Pulse:
  """Estimate beats and onsets; none in silence."""
  return pulse_of(strength(samples, sample_rate))


def pulse_of(strength: Float[np.ndarray, " t"]) -> Pulse:
  """Estimate beats and onsets from the onset strength."""
  if not strength.any():
    return Pulse(np.zeros(0), np.zeros(0))
  with quiet():
    options = {"onset_envelope": strength, "sr": _RATE, "hop_length": _HOP}
    # Keep weak beats at both ends, which `trim` would remove.
    _, found = librosa.beat.beat_track(**options, trim=False)
    onsets = librosa.onset.onset_detect(**options, units="time")
  return Pulse(np.asarray(found) * _HOP / _RATE, onsets)


def beats(samples: Mono, sample_rate: int) -> Times:
  """Estimate beats in seconds; none in silence."""
  return pulse(samples, sample_rate).beats


def _resampled(samples: Mono, sample_rate: int) -> Mono | None:
  """Resample to the rate of the beat tracker; None for silence."""
  with quiet():
    sound = librosa.resample(samples, orig_sr=sample_rate, target_sr=_RATE)
  return None if np.sqrt(np.mean(sound**2)) < AUDIBLE else sound


AUDIBLE = 1e-4
"""RMS below which a stem counts as silent: -80 dB of full scale."""


def beat_f1(wanted: Times, found: Times) -> float:
  """Compute F1 of beats within 70 ms (mir_eval).

  A single stem often marks only half of the beats, or those between them. The
  best F1 counts, against the beats, twice and half of them, and the off-beats,
  the metrical levels that continuity measures allow as well.

  Returns:
    0..1; 0 if none was found, NaN with fewer than two wanted.
  """
  if len(wanted) < 2:
    return float("nan")
  if not len(found):
    return 0.0
  # Off-beats.
  between = (wanted[1:] + wanted[:-1]) / 2
  levels = (
    wanted,
    between,
    np.sort(np.concatenate([wanted, between])),
    wanted[::2],
    wanted[1::2],
  )
  with quiet():
    return max(float(mir_eval.beat.f_measure(x, found)) for x in levels)


def grid_agreement(wanted: Times, found: Times, grid: Grid) -> float:
  """Compute how closely onsets follow the grid of the beats.

  The mean cosine of an onset's phase between two grid lines: 1 on the lines, -1
  halfway between them, 0 for random onsets.

  Args:
    wanted: beats in seconds; the grid is extrapolated beyond them.
    found: onsets of the stem in seconds.
    grid: grid of the beats.

  Returns:
    -1..1; 0 without onsets, NaN with fewer than two beats.
  """
  if len(wanted) < 2:
    return float("nan")
  if not len(found):
    return 0.0
  # Onsets in beats; interp is constant outside, so extrapolate there.
  number = np.interp(found, wanted, np.arange(len(wanted)))
  before, after = found < wanted[0], found > wanted[-1]
  # Extrapolate by the first and the last interval.
  number[before] = (found[before] - wanted[0]) / (wanted[1] - wanted[0])
  number[after] = len(wanted) - 1
  number[after] += (found[after] - wanted[-1]) / (wanted[-1] - wanted[-2])
  # Phase 2 pi from one grid line to the next.
  return float(np.cos(2 * np.pi * grid.steps * grid.straight(number)).mean())


def agreement(found: Pulse, wanted: Times, grid: Grid) -> dict[str, float]:
  """Compute `beat_f1` and `grid_agreement`; NaN with fewer than two beats."""
  return {
    "beat_f1": beat_f1(wanted, found.beats),
    "grid_agreement": grid_agreement(wanted, found.onsets, grid),
  }
