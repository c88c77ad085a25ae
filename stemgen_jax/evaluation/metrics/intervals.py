"""95 % intervals over songs: examples of one song are drawn together."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

RESAMPLES = 4000
FEWEST_SONGS = 5
"""Songs that an interval takes: of fewer the resamples say next to nothing."""


class Draws(NamedTuple):
  """Songs drawn with replacement.

  Attributes:
    song: of each example, counted from 0.
    of_songs: how often each song counts in each resample. There are no
      resamples of fewer songs than `FEWEST_SONGS`.
  """

  song: Int[np.ndarray, " n"]
  of_songs: Float[np.ndarray, "resamples songs"]

  @property
  def times(self) -> Float[np.ndarray, "resamples n"]:
    """How often each example counts in each resample."""
    return self.of_songs[:, self.song]

  def enough(self, there: Bool[np.ndarray, " n"]) -> bool:
    """Whether these examples are of enough songs for an interval."""
    return len(np.unique(self.song[there])) >= FEWEST_SONGS


def draws(songs: np.ndarray, rng: np.random.Generator) -> Draws:
  """Draws as many songs as there are, `RESAMPLES` times.

  Args:
    songs: of each example.
    rng: drawn from where there are enough songs.
  """
  _, song = np.unique(songs, return_inverse=True)
  count = song.max() + 1
  if count < FEWEST_SONGS:
    return Draws(song, np.zeros((0, count)))
  taken = rng.integers(count, size=(RESAMPLES, count))
  times = np.zeros((RESAMPLES, count))
  np.add.at(times, (np.arange(RESAMPLES)[:, None], taken), 1)
  return Draws(song, times)


def mean(
  values: Float[np.ndarray, " n"], draws: Draws
) -> dict[str, float | int | None]:
  """Mean of the values that are finite, with its interval as `around`.

  Also `examples`, how many these are.
  """
  there = np.isfinite(values)
  if not there.any():
    return {"mean": None, "low": None, "high": None, "examples": 0}
  count = draws.of_songs.shape[1]
  sums = np.bincount(draws.song[there], values[there], count)
  counts = np.bincount(draws.song[there], minlength=count)
  times = draws.of_songs if draws.enough(there) else draws.of_songs[:0]
  times = times[times @ counts > 0]
  means = (times @ sums) / (times @ counts)
  found = around(float(values[there].mean()), means)
  return {**found, "examples": int(there.sum())}


def around(
  middle: float, resamples: Float[np.ndarray, " resamples"]
) -> dict[str, float | None]:
  """A `mean` with the 95 % interval of its resamples, `low` and `high`.

  These are None where there are no resamples, all where there is no mean.
  """
  if not np.isfinite(middle):
    return {"mean": None, "low": None, "high": None}
  low = high = None
  resamples = resamples[np.isfinite(resamples)]
  if len(resamples):
    ends = np.quantile(resamples, (0.025, 0.975))
    low, high = (round(float(end), 4) for end in ends)
  return {"mean": round(middle, 4), "low": low, "high": high}


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
