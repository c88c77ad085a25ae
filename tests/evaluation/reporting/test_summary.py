"""Scores of a summary, and their intervals over songs."""

import numpy as np
import pytest

from stemgen_jax.evaluation.metrics import (
  intervals,
)
from stemgen_jax.evaluation.reporting import summary


def test_scores_by_hand(monkeypatch):
  monkeypatch.setattr(intervals, "FEWEST_SONGS", 2)
  values = {
    "generated": np.array([0.5, 0.7, np.nan]),
    "random": np.array([0.2, 0.4, 0.9]),
    "round_trip": np.array([0.8, 1.0, 0.9]),
  }
  draws = intervals.draws(np.array(["a", "b", "c"]), np.random.default_rng(0))
  found = summary.score([values], "generated", draws)
  assert found["score"] == pytest.approx(0.5)
  assert found["low"] == found["high"] == pytest.approx(0.5)
  # Of three songs two have the figure.
  monkeypatch.setattr(intervals, "FEWEST_SONGS", 3)
  found = summary.score([values], "generated", draws)
  assert (found["score"], found["low"], found["high"]) == (0.5, None, None)
  ends = {
    x: summary.score([values], x, draws)["score"]
    for x in ("random", "round_trip")
  }
  assert ends == {"random": 0, "round_trip": 1}
  alike = values | {"round_trip": values["random"]}
  assert summary.score([alike], "generated", draws)["score"] is None


def test_intervals_are_over_songs():
  rng = np.random.default_rng(0)
  of_song = rng.normal(0.5, 0.1, 40)
  values = {
    "generated": np.repeat(of_song, 5),
    "random": np.zeros(200),
    "round_trip": np.ones(200),
  }
  draws = intervals.draws(np.repeat(np.arange(40), 5), rng)
  found = summary.score([values], "generated", draws)
  width = 2 * 1.96 * of_song.std() / np.sqrt(40)
  assert (found["high"] or 0) - (found["low"] or 0) == pytest.approx(
    width, rel=0.15
  )
