"""What 95 % intervals over songs have in common: their ends, and in words."""

import numpy as np
from jaxtyping import Float

RESAMPLES = 4000
FEWEST_SONGS = 5
"""Songs that an interval takes: of fewer the resamples say next to nothing."""


def ends(resamples: Float[np.ndarray, " n"]) -> tuple[float, float]:
  """The 2.5 % and 97.5 % quantiles."""
  low, high = np.quantile(resamples, (0.025, 0.975))
  return float(low), float(high)


def said(
  value: float | None,
  low: float | None,
  high: float | None,
  *,
  digits: int = 2,
  percent: bool = False,
) -> str:
  """A value with its interval, such as "0.53 (0.44 to 0.63)".

  Args:
    value: None where there is none.
    low: end of the interval; None where it has too few songs.
    high: the other end.
    digits: behind the point.
    percent: all are shares, told in percent.
  """
  if value is None:
    return "-"
  scale, unit = (100, " %") if percent else (1, "")
  text = f"{scale * value:.{digits}f}{unit}"
  if low is None or high is None:
    return f"{text} (too few songs)"
  return f"{text} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"
