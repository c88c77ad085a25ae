"""95 % bootstrap intervals over songs: examples of a song stay together."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

RESAMPLES = 4000  # their quantiles vary by about 1 % of the width
FEWEST_SONGS = 5
"""Least number of songs for an interval; fewer give meaningless resamples."""


class Draws(NamedTuple):
  """Songs drawn with replacement.

  Attributes:
    song: number of each example's song, from 0.
    of_songs: weight of each song in each resample. There are no resamples of
      fewer songs than `FEWEST_SONGS`.
  """

  song: Int[np.ndarray, " n"]
  of_songs: Float[np.ndarray, "resamples songs"]

  @property
  def times(self) -> Float[np.ndarray, "resamples n"]:
    """Weight of each example in each resample."""
    return self.of_songs[:, self.song]

  def enough(self, there: Bool[np.ndarray, " n"]) -> bool:
    """Return whether these examples have enough songs for an interval."""
    return len(np.unique(self.song[there])) >= FEWEST_SONGS


def draws(songs: np.ndarray, rng: np.random.Generator) -> Draws:
  """Draw `RESAMPLES` bootstrap resamples of the songs.

  Args:
    songs: song of each example.
    rng: advanced only if there are enough songs.
  """
  _, song = np.unique(songs, return_inverse=True)
  count = song.max() + 1
  if count < FEWEST_SONGS:
    return Draws(song, np.zeros((0, count)))
  # [resamples, songs]: which songs are drawn, then how often each is.
  taken = rng.integers(count, size=(RESAMPLES, count))
  times = np.zeros((RESAMPLES, count))
  np.add.at(times, (np.arange(RESAMPLES)[:, None], taken), 1)
  return Draws(song, times)


def mean(
  values: Float[np.ndarray, " n"], draws: Draws
) -> dict[str, float | int | None]:
  """Compute the mean of the finite values with its interval.

  Returns:
    As `around`, and `examples`, the number of finite values.
  """
  there = np.isfinite(values)
  if not there.any():
    return {"mean": None, "low": None, "high": None, "examples": 0}
  # Sums per song first: [resamples, songs] is smaller than [resamples, n].
  count = draws.of_songs.shape[1]
  sums = np.bincount(draws.song[there], values[there], count)
  counts = np.bincount(draws.song[there], minlength=count)
  times = draws.of_songs if draws.enough(there) else draws.of_songs[:0]
  times = times[times @ counts > 0]  # resamples with any finite value
  means = (times @ sums) / (times @ counts)
  found = around(float(values[there].mean()), means)
  return {**found, "examples": int(there.sum())}


def crossed_mean(
  values: Float[np.ndarray, "raters n"], songs: np.ndarray, seed: int
) -> dict[str, float | int | None]:
  """Compute the mean of ratings; its interval resamples songs and raters.

  Both are drawn independently, which gives intervals that are rather too wide.
  With few raters they hardly show how raters differ.

  Args:
    values: rating of each example by each rater.
    songs: song of each example.
    seed: seed of the resamples.

  Returns:
    As `around`, and `answers`, the number of ratings.
  """
  if not values.size:
    return {"mean": None, "low": None, "high": None, "answers": 0}
  rng = np.random.default_rng(seed)
  times = draws(songs, rng).times  # [resamples, n]
  raters = len(values)
  # [resamples, raters]
  of_raters = rng.multinomial(raters, np.full(raters, 1 / raters), len(times))
  # [resamples, n]: sums over the raters drawn
  sums = of_raters @ values
  means = (sums * times).sum(1) / (raters * times.sum(1))
  return {**around(float(values.mean()), means), "answers": values.size}


def around(
  middle: float, resamples: Float[np.ndarray, " resamples"]
) -> dict[str, float | None]:
  """Return a `mean` with the 95 % interval of its resamples, `low`, `high`.

  These are None without resamples; all are None without a mean.
  """
  if not np.isfinite(middle):
    return {"mean": None, "low": None, "high": None}
  low = high = None
  # Resamples whose anchors coincide have no score.
  resamples = resamples[np.isfinite(resamples)]
  if len(resamples):
    # Percentile bootstrap.
    ends = np.quantile(resamples, (0.025, 0.975))
    low, high = (round(float(end), 4) for end in ends)
  return {"mean": round(middle, 4), "low": low, "high": high}


def text_of(found: Mapping[str, Any], **style: Any) -> str:
  """Format a result of `mean`; `style` as of `text`."""
  return text(found["mean"], found["low"], found["high"], **style)


def text(
  value: float | None,
  low: float | None,
  high: float | None,
  *,
  digits: int = 2,
  percent: bool = False,
) -> str:
  """Format a value with its interval, such as "0.53 (0.44 to 0.63)".

  Args:
    value: the value, or None.
    low: lower end of the interval; None for too few songs.
    high: upper end.
    digits: decimal places.
    percent: whether to format shares as percentages.
  """
  if value is None:
    return "-"
  scale, unit = (100, " %") if percent else (1, "")
  number = f"{scale * value:.{digits}f}{unit}"
  if low is None or high is None:
    return f"{number} (too few songs)"
  return f"{number} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"
