import math

import numpy as np
import pytest
from scipy import linalg

from stemgen_jax.evaluation.metrics import frechet


def population(rng, examples, mean, root, windows=4):
  """Draw windows of a Gaussian with covariance root @ root.T."""
  d = len(mean)
  return [
    mean + rng.normal(size=(windows, d)) @ root.T for _ in range(examples)
  ]


def test_fad_equals_that_by_scipys_matrix_square_root():
  rng = np.random.default_rng(0)
  one, other = (
    population(rng, 50, rng.normal(size=6), rng.normal(size=(6, 6)))
    for _ in range(2)
  )
  a, b = np.concatenate(one), np.concatenate(other)
  s, t = np.cov(a.T), np.cov(b.T)
  root = np.real(np.asarray(linalg.sqrtm(s @ t)))
  expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root)
  assert frechet.fad(one, other) == pytest.approx(expected, rel=1e-9)
  assert frechet.fad(one, one) == pytest.approx(0, abs=1e-9)


def test_distance_of_diagonal_gaussians():
  # Diagonal: the sum of squared differences of means and of deviations.
  one = frechet.Gaussian(np.array([1.0, 2.0]), np.diag([4.0, 9.0]))
  other = frechet.Gaussian(np.array([0.0, 4.0]), np.diag([1.0, 1.0]))
  assert frechet.distance(one, other) == pytest.approx(1 + 4 + 1 + 4)


def test_more_dimensions_than_windows():
  rng = np.random.default_rng(0)
  one, other = (population(rng, 3, np.zeros(30), np.eye(30)) for _ in range(2))
  assert 0 < frechet.fad(one, other) < 100
  assert frechet.fad(one, one) == pytest.approx(0, abs=1e-6)


def test_infinity_removes_the_bias():
  rng = np.random.default_rng(1)
  d, shift = 24, 2.0
  mean = np.zeros(d)
  moved = mean.copy()
  moved[0] = shift
  one = population(rng, 120, mean, np.eye(d))
  other = population(rng, 120, moved, np.eye(d))
  plain, found = frechet.fad(one, other), frechet.fad_infinity(one, other)
  assert plain > shift**2 + 0.3  # there is a bias to remove
  assert abs(found - shift**2) < abs(plain - shift**2) / 2
  alike = population(rng, 120, mean, np.eye(d))
  assert abs(frechet.fad_infinity(one, alike)) < frechet.fad(one, alike) / 2


def test_infinity_of_paired_populations():
  rng = np.random.default_rng(3)
  d, size = 24, 60
  real = population(rng, size, np.zeros(d), np.eye(d))
  near = [windows + rng.normal(0, 0.1, windows.shape) for windows in real]
  # With independent subsets of the two sides it would be far below 0.
  assert abs(frechet.fad_infinity(near, real)) < 0.02
  assert np.isnan(frechet.fad_infinity(near[:7], real[:7]))
  assert np.isfinite(frechet.fad_infinity(near[:8], real[:8]))


def test_apa_by_hand():
  rng = np.random.default_rng(2)
  real = population(rng, 40, np.zeros(3), np.eye(3))
  random = [windows + 3.0 for windows in real]
  assert frechet.apa(real, real, random) == pytest.approx(1)
  assert frechet.apa(random, real, random) == pytest.approx(0)
  # A third of the way: FAD 27/9 to the real, 27*4/9 to the random, 27 apart.
  third = [windows + 1.0 for windows in real]
  expected = 0.5 + (12 - 3) / (2 * 27)
  assert frechet.apa(third, real, random) == pytest.approx(expected)
  # It is clipped to 0..1.
  beyond = [windows + 9.0 for windows in real]
  assert frechet.apa(beyond, real, random) == 0
  assert np.isnan(frechet.apa(real, real, real))


def test_kernel_distance_tells_distributions_apart():
  rng = np.random.default_rng(0)

  def drawn(mean, size):
    return [rng.normal(mean, 1, (5, 8)) for _ in range(size)]

  real = drawn(0, 60)
  assert abs(frechet.kad(drawn(0, 40), real)) < 0.5
  near, far = (frechet.kad(drawn(mean, 40), real) for mean in (0.5, 2.0))
  assert 1 < near < far <= 200
  # By the definition, of all ordered pairs.
  x, y = (np.concatenate(part) for part in (real[:4], drawn(1, 3)))
  squared = [((a[:, None] - b) ** 2).sum(-1) for a, b in ((x, x), (y, y))]
  off = [d[~np.eye(len(d), dtype=bool)] for d in squared]
  width = 2 * np.median(off[1])
  between = np.exp(-((x[:, None] - y) ** 2).sum(-1) / width).mean()
  expected = sum(np.exp(-d / width).mean() for d in off) - 2 * between
  assert frechet.kad([x], [y]) == pytest.approx(100 * expected)
  assert math.isnan(frechet.kad([x], [np.zeros((4, 8))]))
