"""Figures that may be NaN: their mean, and how JSON takes them."""

import math
from collections.abc import Sequence

import numpy as np


def mean(values: Sequence[float] | np.ndarray | float) -> float:
  """Return the mean of the finite values; NaN if there are none."""
  known = np.asarray(values, np.float64)
  known = known[np.isfinite(known)]
  return float(known.mean()) if known.size else math.nan


def or_none(value: float, digits: int | None = None) -> float | None:
  """Return a value, rounded to so many digits; None if it is not finite."""
  if not math.isfinite(value):
    return None
  return float(value) if digits is None else round(float(value), digits)
