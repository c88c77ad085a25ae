"""Does a stem keep the beat of its context?"""

import dataclasses

import numpy as np
from jaxtyping import Float

from stemgen_jax.codec.training.agreement import librosa, mir_eval, quiet

_HOP = 256
_RATE = 22050


@dataclasses.dataclass(frozen=True)
class Grid:
  """Lines on which notes begin.

  Attributes:
    steps: of the grid in a beat: 4, or 6 where a beat has three parts.
    swing: share of a pair of notes that its first takes; 0.5 is straight.
    pair: beats that such a pair lasts; a whole number of them is a beat.
  """

  steps: int
  swing: float = 0.5
  pair: float = 1.0

  def straight(
    self, number: Float[np.ndarray, " n"]
  ) -> Float[np.ndarray, " n"]:
    """Where in beats a note would be, if nothing swung."""
    pairs, inside = np.divmod(number / self.pair, 1.0)
    inside = np.where(
      inside < self.swing,
      inside * 0.5 / self.swing,
      0.5 + (inside - self.swing) * 0.5 / (1 - self.swing),
    )
    return (pairs + inside) * self.pair


def beats(
  samples: Float[np.ndarray, " n"], sample_rate: int
) -> Float[np.ndarray, " beats"]:
  """Seconds of the beats that librosa hears; none in silence."""
  strength = _strength(samples, sample_rate)
  if not strength.any():
    return np.zeros(0)
  with quiet():
    _, found = librosa.beat.beat_track(
      onset_envelope=strength, sr=_RATE, hop_length=_HOP, trim=False
    )
  return np.asarray(found) * _HOP / _RATE


def onsets(
  samples: Float[np.ndarray, " n"], sample_rate: int
) -> Float[np.ndarray, " onsets"]:
  """Seconds of the onsets that librosa hears; none in silence."""
  strength = _strength(samples, sample_rate)
  if not strength.any():
    return np.zeros(0)
  with quiet():
    found = librosa.onset.onset_detect(
      onset_envelope=strength, sr=_RATE, hop_length=_HOP
    )
  return np.asarray(found) * _HOP / _RATE


def _strength(
  samples: Float[np.ndarray, " n"], sample_rate: int
) -> Float[np.ndarray, " t"]:
  """How much begins at each frame; all zero in what cannot be heard."""
  with quiet():
    sound = librosa.resample(samples, orig_sr=sample_rate, target_sr=_RATE)
    if np.sqrt(np.mean(sound**2)) < AUDIBLE:
      return np.zeros(1)
    return librosa.onset.onset_strength(y=sound, sr=_RATE, hop_length=_HOP)


AUDIBLE = 1e-4
"""RMS below which a stem is silent, -80 dB of full scale."""


def beat_f1(
  wanted: Float[np.ndarray, " n"], found: Float[np.ndarray, " m"]
) -> float:
  """F1 of beats within 70 ms, as the field measures it (mir_eval).

  A single stem often says no more than half of the beats, or those between
  them: the best F1 is taken against the beats, twice and half of them, and
  the off-beats, which are the levels that continuity measures allow, too.

  Returns:
    0..1; 0 where none was found, NaN with fewer than two to find.
  """
  if len(wanted) < 2:
    return float("nan")
  if not len(found):
    return 0.0
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


def grid_agreement(
  wanted: Float[np.ndarray, " beats"],
  found: Float[np.ndarray, " onsets"],
  grid: Grid,
) -> float:
  """How closely onsets keep to the grid of the beats.

  The mean cosine of where an onset lies between two lines of the grid: 1 on
  the lines, -1 in the middle between them, 0 for onsets at random.

  Args:
    wanted: seconds of the beats; the grid goes on evenly beyond them.
    found: seconds of the stem's onsets.
    grid: of the beats.

  Returns:
    -1..1; 0 without onsets, NaN with fewer than two beats.
  """
  if len(wanted) < 2:
    return float("nan")
  if not len(found):
    return 0.0
  number = np.interp(found, wanted, np.arange(len(wanted)))
  before, after = found < wanted[0], found > wanted[-1]
  number[before] = (found[before] - wanted[0]) / (wanted[1] - wanted[0])
  number[after] = len(wanted) - 1
  number[after] += (found[after] - wanted[-1]) / (wanted[-1] - wanted[-2])
  return float(np.cos(2 * np.pi * grid.steps * grid.straight(number)).mean())


def figures(
  samples: Float[np.ndarray, " n"],
  sample_rate: int,
  wanted: Float[np.ndarray, " beats"],
  grid: Grid,
) -> dict[str, float]:
  """`beat_f1` and `grid_agreement` of a stem; NaN with fewer than two beats."""
  return {
    "beat_f1": beat_f1(wanted, beats(samples, sample_rate)),
    "grid_agreement": grid_agreement(
      wanted, onsets(samples, sample_rate), grid
    ),
  }
