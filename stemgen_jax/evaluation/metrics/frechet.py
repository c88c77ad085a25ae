"""Distances between populations of embeddings: FAD, FAD-infinity, APA.

FAD (arXiv 1812.08466) is the Frechet distance of the Gaussians that have the
two populations' means and covariances. With few examples it comes out too
large; FAD-infinity (arXiv 2311.01616) is what it tends to with many.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Population = Sequence[Float[np.ndarray, "windows d"]]
"""Embeddings of the windows of each example."""

_SIZES = 15  # of subsets, of which the line through FAD over 1/N is fitted
_NOTHING = 1e-9  # of the variance: what rounding leaves of a distance of 0
_FEWEST = 8  # examples
_SMALLEST = 0.5  # share of the examples in the smallest subset


class Gaussian(NamedTuple):
  """What the distance knows of a population."""

  mean: Float[np.ndarray, " d"]
  covariance: Float[np.ndarray, "d d"]


def gaussian(windows: Float[np.ndarray, "n d"]) -> Gaussian:
  """Mean and covariance of a population, of at least two windows.

  Raises:
    ValueError: there are fewer.
  """
  if len(windows) < 2:
    raise ValueError(f"{len(windows)} windows have no covariance: take more")
  data = np.asarray(windows, np.float64)
  return Gaussian(data.mean(0), np.atleast_2d(np.cov(data, rowvar=False)))


def distance(one: Gaussian, other: Gaussian) -> float:
  """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0.

  The trace of the root is that of the root of S1^(1/2) S2 S1^(1/2), which is
  symmetric: its eigenvalues are real, and those that rounding makes negative
  count as 0.
  """
  values, vectors = np.linalg.eigh(one.covariance)
  root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
  inner = np.linalg.eigvalsh(root @ other.covariance @ root)
  shift = one.mean - other.mean
  traces = np.trace(one.covariance) + np.trace(other.covariance)
  return max(
    0.0, float(shift @ shift + traces - 2 * np.sqrt(inner.clip(0)).sum())
  )


def fad(one: Population, reference: Population) -> float:
  """Distance of two populations, all windows alike."""
  return distance(
    gaussian(np.concatenate(list(one))),
    gaussian(np.concatenate(list(reference))),
  )


def fad_infinity(
  one: Population, reference: Population, seed: int = 0
) -> float:
  """What FAD tends to with many examples.

  FAD is taken from subsets of N examples, half of them to all; the line that
  fits it best as a function of 1/N is followed to 1/N = 0. Subsets are of
  examples, as windows of one are not independent, and of as many on either
  side, since both sides bias it. Both sides belong to the same examples, as a
  stem and the real one do: a subset has both of an example, or neither. Drawn
  one by one they would agree the less the smaller the subset, and the line
  would end too low.

  Args:
    one: a population.
    reference: another one, of the same examples in the same order.
    seed: of the subsets.

  Raises:
    ValueError: one has more examples than the other.

  Returns:
    May be slightly below 0 for equal populations; NaN for fewer than eight
    examples, which make no line.
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
    rows = rng.choice(most, size, replace=False)
    found.append(fad([one[i] for i in rows], [reference[i] for i in rows]))
  _, intercept = np.polyfit(1 / sizes, found, 1)
  return float(intercept)


def apa(candidate: Population, real: Population, random: Population) -> float:
  """Accompaniment prompt adherence (arXiv 2503.06346), of mixes.

  1/2 + (FAD(C, R') - FAD(C, R)) / (2 FAD(R, R')), within 0..1.

  Args:
    candidate: C, contexts with the stems that were played to them.
    real: R, contexts with their real stems.
    random: R', contexts with stems of other songs.

  Returns:
    1 where candidates are as the real ones, 0 as the random ones; NaN where
    these two do not differ.
  """
  apart = fad(real, random)
  spread = np.trace(gaussian(np.concatenate(list(real))).covariance)
  if apart <= _NOTHING * spread:
    return float("nan")
  nearer = fad(candidate, random) - fad(candidate, real)
  return float(np.clip(0.5 + nearer / (2 * apart), 0, 1))
