"""Tests of the ranks."""

import jax
import jax.numpy as jnp
import numpy as np

from stemgen_jax.sampling import ranking


def test_paper_rank_is_equation_1():
  order = ranking.paper_order(
    jnp.array([[0.0, 0.5]]), jnp.array([[0.3, 0.9]]), 0.2, 1.0
  )
  log_p = jnp.log(jnp.array([[0.5, 0.25]]))
  rank = ranking.rank("paper", log_p, order, 0.1)
  np.testing.assert_allclose(
    rank,
    [[0.1 * 0.5 + 0.2 * 1.0 + 0.3, 0.1 * 0.25 + 0.2 * 0.5 + 0.9]],
    rtol=1e-6,
  )


def test_gumbel_rank_ends_as_the_log_probability():
  log_p = jnp.array([[-1.0, -2.0]])
  uniform = jnp.array([[0.0, 0.5]])
  order = ranking.gumbel_order(uniform, 0.0)
  np.testing.assert_array_equal(
    ranking.rank("gumbel", log_p, order, 0.5), log_p
  )
  uniform = jax.random.uniform(jax.random.key(0), (1, 20000))
  noise = np.asarray(ranking.gumbel_order(uniform, 2))
  # Mean and deviation of the standard Gumbel distribution.
  assert abs(noise.mean() / 2 - 0.5772) < 0.02
  assert abs(noise.std() / 2 - np.pi / np.sqrt(6)) < 0.02


def test_low_discrepancy_is_van_der_corputs_order_rolled():
  frames = jnp.arange(8)[None]
  for roll, first in ((0, 0), (3, 5)):
    rank = ranking.low_discrepancy_order(frames, jnp.array([roll], jnp.uint32))
    order = np.argsort(-np.asarray(rank[0]))
    expected = (np.array([0, 4, 2, 6, 1, 5, 3, 7]) + first) % 8
    np.testing.assert_array_equal(order, expected)


def test_nan_ranks_come_last_and_count():
  masked = jnp.array([[True, False, True, True]])
  rank = jnp.array([[jnp.nan, jnp.nan, 1.0, -jnp.inf]])
  for count in (1, 2, 3):
    stay = ranking.best(rank, masked, jnp.array([count]))
    assert stay.sum() == count
    assert (stay <= masked).all()
  assert ranking.best(rank, masked, jnp.array([1]))[0, 2]


def test_exact_count_when_all_ranks_tie():
  masked = jnp.array([[True, False, True, True, True], [True] * 5])
  stay = ranking.best(jnp.ones((2, 5)), masked, jnp.array([2, 3]))
  np.testing.assert_array_equal(
    stay, [[True, False, True, False, False], [True, True, True, False, False]]
  )
