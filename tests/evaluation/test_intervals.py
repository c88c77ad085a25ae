"""Intervals in words, and where there are none."""

import numpy as np

from stemgen_jax.evaluation import intervals, summary


def test_a_value_with_its_interval():
  assert intervals.said(0.527, 0.441, 0.634) == "0.53 (0.44 to 0.63)"
  assert intervals.said(0.5, 0.25, 1.0, digits=0, percent=True) == (
    "50 % (25 to 100)"
  )
  assert intervals.said(0.5, None, None, digits=3) == "0.500 (too few songs)"
  assert intervals.said(None, None, None) == "-"


def test_few_songs_have_a_mean_and_no_interval():
  values = np.array([0.1, 0.2, 0.6, 0.7, 0.2, 0.3])
  for songs, there in ((3, False), (6, True)):
    draws = summary.draws(np.arange(6) % songs, np.random.default_rng(0))
    found = summary.mean(values, draws)
    assert found["mean"] == 0.35
    assert (found["low"] is not None) == (found["high"] is not None) == there
  # Six songs, three of which have a value.
  found = summary.mean(np.where(values > 0.25, values, np.nan), draws)
  assert (found["examples"], found["low"]) == (3, None)
