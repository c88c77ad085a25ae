"""The pooled score weights figures by what their anchors tell apart."""

import numpy as np
import pytest

from stemgen_jax.evaluation.metrics import intervals
from stemgen_jax.evaluation.reporting import summary

RNG = np.random.default_rng(0)
DRAWS = intervals.draws(np.arange(40), RNG)


def figure(low, high, mine, noise):
  return {
    "random": low + noise * RNG.normal(size=40),
    "round_trip": high + noise * RNG.normal(size=40),
    "generated": np.full(40, mine),
  }


def test_a_figure_whose_anchors_hardly_differ_hardly_counts():
  clear, unclear = figure(0, 1, 0.8, 0.1), figure(0, 0.1, -0.5, 0.3)
  weights = [summary.clearness(one) for one in (clear, unclear)]
  assert weights[0] > 10 * weights[1]
  pooled = summary.score([clear, unclear], "generated", DRAWS, weights)
  plain = summary.score([clear, unclear], "generated", DRAWS)
  one, other = (
    summary.score([x], "generated", DRAWS)["score"] for x in (clear, unclear)
  )
  assert one is not None
  assert other is not None
  expected = np.average([one, other], weights=weights)
  assert pooled["score"] == pytest.approx(expected, abs=1e-3)
  assert plain["score"] == pytest.approx((one + other) / 2, abs=1e-3)


def test_anchors_that_do_not_differ_have_no_weight():
  assert summary.clearness(figure(1, 0, 0.5, 0.1)) == 0
  nothing = {"random": np.full(3, np.nan), "round_trip": np.ones(3)}
  assert summary.clearness(nothing) == 0
