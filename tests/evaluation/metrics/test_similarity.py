import numpy as np
import pytest

from stemgen_jax.evaluation.metrics import similarity


def test_onsets_may_be_30_ms_apart():
  one = np.random.default_rng(0).uniform(size=200) ** 4
  assert similarity.onset_correlation(one, one) == pytest.approx(1)
  for frames in (-2, 2):  # 23 ms
    found = similarity.onset_correlation(one, np.roll(one, frames))
    assert found == pytest.approx(1, abs=0.01)
  assert similarity.onset_correlation(one, np.roll(one, 6)) < 0.3
  assert similarity.onset_correlation(one, np.zeros(0)) == 0  # silence
  assert similarity.onset_correlation(one, np.ones(200)) == 0


def test_ranks_by_hand():
  matrix = np.array([[0.9, 0.5, 0.1], [0.5, 0.4, 0.2], [0.6, 0.1, 0.3]])
  everything = np.ones(3, bool)
  # The first context is near to all; normalized, it is nearest to its own.
  np.testing.assert_array_equal(similarity.ranks(matrix, everything), [1, 1, 1])
  assert list(similarity.ranks(np.roll(matrix, 1, 0), everything)) != [1, 1, 1]
  two = similarity.ranks(matrix, np.array([True, False, True]))
  np.testing.assert_array_equal(two, [1, 1])
  # Equal stems have the mean rank.
  np.testing.assert_array_equal(
    similarity.ranks(np.ones((3, 3)), everything), 2
  )
