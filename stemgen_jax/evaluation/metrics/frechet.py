"""Distances between populations of embeddings: FAD, FAD-infinity, KAD, APA.

FAD (arXiv 1812.08466) is the Frechet distance of Gaussians with the means and
covariances of the two populations. It is biased upwards for few examples;
FAD-infinity (arXiv 2311.01616) extrapolates to infinitely many. KAD (arXiv
2502.15602) assumes no distribution and is unbiased.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial import distance as pairwise

Population = Sequence[Float[np.ndarray, "windows d"]]
"""Embeddings of the windows of each example."""

_SIZES = 15  # number of subsets for the fit of FAD over 1/N
_NOTHING = 1e-9  # rounding error of a distance of 0, as a share of variance
_FEWEST = 8  # examples that a fit needs
_SMALLEST = 0.5  # share of the examples in the smallest subset


class Gaussian(NamedTuple):
  """Mean and covariance of a population."""

  mean: Float[np.ndarray, " d"]
  covariance: Float[np.ndarray, "d d"]


def gaussian(windows: Float[np.ndarray, "n d"]) -> Gaussian:
  """Compute mean and covariance of a population.

  Raises:
    ValueError: there are fewer than two windows.
  """
  if len(windows) < 2:
    raise ValueError(f"{len(windows)} windows: expected at least 2")
  data = np.asarray(windows, np.float64)
  return Gaussian(data.mean(0), np.atleast_2d(np.cov(data, rowvar=False)))


def distance(one: Gaussian, other: Gaussian) -> float:
  """Compute |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0."""
  # (S1 S2)^(1/2) has the trace of the root of S1^(1/2) S2 S1^(1/2), which is
  # symmetric: its eigenvalues are real, negative ones are rounding errors.
  # Square root of a symmetric matrix by its eigenvectors.
  values, vectors = np.linalg.eigh(one.covariance)
  root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
  inner = np.linalg.eigvalsh(root @ other.covariance @ root)
  shift = one.mean - other.mean
  traces = np.trace(one.covariance) + np.trace(other.covariance)
  return max(
    0.0, float(shift @ shift + traces - 2 * np.sqrt(inner.clip(0)).sum())
  )


def fad(one: Population, reference: Population) -> float:
  """Compute the distance of two populations, with equal weight per window."""
  return distance(
    gaussian(np.concatenate(list(one))),
    gaussian(np.concatenate(list(reference))),
  )


def fad_infinity(
  one: Population, reference: Population, seed: int = 0
) -> float:
  """Extrapolate FAD to infinitely many examples.

  FAD of subsets of N examples, from half of them to all, is fitted by a line
  in 1/N, which is evaluated at 1/N = 0. Subsets are of examples, as windows of
  one example are not independent, and equally large on both sides, since both
  bias FAD. A subset has the same examples on both sides: independent ones
  would agree less the smaller the subset, and the line would end too low.

  Args:
    one: a population.
    reference: another one, of the same examples in the same order.
    seed: seed of the subsets.

  Returns:
    May be slightly below 0 for equal populations; NaN for fewer than eight
    examples.

  Raises:
    ValueError: the numbers of examples differ.
  """
  most = len(one)
  if len(reference) != most:
    raise ValueError(
      f"populations of {most} and {len(reference)} examples: expected the same "
      "examples"
    )
  rng = np.random.default_rng(seed)
  sizes = np.unique(
    np.linspace(max(2, _SMALLEST * most), most, _SIZES).astype(int)
  )
  if most < _FEWEST:
    return float("nan")
  found = []
  for size in sizes:
    # The same examples on both sides.
    rows = rng.choice(most, size, replace=False)
    found.append(fad([one[i] for i in rows], [reference[i] for i in rows]))
  # The value of the line at 1/N = 0.
  _, intercept = np.polyfit(1 / sizes, found, 1)
  return float(intercept)


def kad(one: Population, reference: Population) -> float:
  """Compute the kernel distance of two populations.

  The unbiased squared maximum mean discrepancy, times 100 as in the paper, by
  a Gaussian kernel as wide as the median distance within the reference.

  Returns:
    About 0 for equal distributions, and possibly below; NaN for populations of
    fewer than two windows, or a reference without any distance.
  """
  x, y = (np.concatenate(list(each)) for each in (one, reference))
  if min(len(x), len(y)) < 2:
    return float("nan")
  # Squared distances of different windows of one population, [pairs].
  within_x, within_y = (pairwise.pdist(each, "sqeuclidean") for each in (x, y))
  width = 2 * np.median(within_y)
  if not width > 0:
    return float("nan")
  between = pairwise.cdist(x, y, "sqeuclidean")
  similar = [np.exp(-d / width).mean() for d in (within_x, within_y, between)]
  return 100 * float(similar[0] + similar[1] - 2 * similar[2])


def apa(candidate: Population, real: Population, random: Population) -> float:
  """Compute accompaniment prompt adherence (arXiv 2503.06346) of mixes.

  1/2 + (FAD(C, R') - FAD(C, R)) / (2 FAD(R, R')), within 0..1.

  Args:
    candidate: C, contexts with the stems generated to them.
    real: R, contexts with their real stems.
    random: R', contexts with stems of other songs.

  Returns:
    1 if candidates equal the real ones, 0 if the random ones; NaN if these two
    do not differ.
  """
  distance_of_ends = fad(real, random)
  # Total variance, the scale for rounding errors.
  spread = np.trace(gaussian(np.concatenate(list(real))).covariance)
  if distance_of_ends <= _NOTHING * spread:
    return float("nan")
  nearer = fad(candidate, random) - fad(candidate, real)
  return float(np.clip(0.5 + nearer / (2 * distance_of_ends), 0, 1))
