"""Is a stem in the right place of the bar?

Beats and sixteenths of a stem that is an eighth, a beat or a bar late are still
on the grid, so `rhythm` hardly sees the difference.
"""

import numpy as np
from jaxtyping import Float
from scipy import linalg

from stemgen_jax.evaluation.metrics import rhythm

SLOTS = 16
"""Slots of a bar: sixteenths in 4/4."""

_TIE = 0.01  # correlations that differ by less are equal


def profile(
  strength: Float[np.ndarray, " t"], downbeats: Float[np.ndarray, " bars"]
) -> Float[np.ndarray, " slots"]:
  """Fold the onset strength into one bar.

  Args:
    strength: onset strength, see `rhythm.strength`.
    downbeats: at least two downbeats in seconds; frames outside are ignored.

  Returns:
    Mean strength of each slot, of mean 0 and norm 1; zeros if all are equal.
  """
  times = np.arange(len(strength)) / rhythm.FRAME_RATE
  inside = (times >= downbeats[0]) & (times < downbeats[-1])
  bars = np.interp(times[inside], downbeats, np.arange(len(downbeats)))
  # Slots are centered on their time, as attacks are a frame early or late.
  slots = np.round(SLOTS * bars).astype(int) % SLOTS
  sums = np.bincount(slots, strength[inside], SLOTS)
  means = sums / np.maximum(np.bincount(slots, minlength=SLOTS), 1)
  means -= means.mean()
  norm = np.linalg.norm(means)
  return means / norm if norm > 1e-6 else np.zeros(SLOTS)


def metrical_phase(
  stem: Float[np.ndarray, " slots"], real: Float[np.ndarray, " slots"]
) -> float:
  """Test whether the real stem's profile fits best without a shift.

  Args:
    stem: profile of the stem.
    real: profile of the real stem.

  Returns:
    1 if the real stem's profile correlates best with the stem's when it is not
    shifted, 0 otherwise, also for a tie; NaN if the real profile is flat.
  """
  if not real.any():
    return float("nan")
  fits = stem @ linalg.circulant(real)  # [slots]: by shift of the real profile
  return float(fits[0] > fits[1:].max() + _TIE)
