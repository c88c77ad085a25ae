"""Intervals: over songs, as text, and for too few songs."""

import math

import numpy as np
import pytest

from stemgen_jax.evaluation.metrics import intervals


def test_a_value_with_its_interval():
  assert intervals.text(0.527, 0.441, 0.634) == "0.53 (0.44 to 0.63)"
  assert intervals.text(0.5, 0.25, 1.0, digits=0, percent=True) == (
    "50 % (25 to 100)"
  )
  assert intervals.text(0.5, None, None, digits=3) == "0.500 (too few songs)"
  assert intervals.text(None, None, None) == "-"


def test_few_songs_have_a_mean_and_no_interval():
  values = np.array([0.1, 0.2, 0.6, 0.7, 0.2, 0.3])
  for songs, there in ((3, False), (6, True)):
    draws = intervals.draws(np.arange(6) % songs, np.random.default_rng(0))
    found = intervals.mean(values, draws)
    assert found["mean"] == 0.35
    assert (found["low"] is not None) == (found["high"] is not None) == there
  # Six songs, three of which have a value.
  found = intervals.mean(np.where(values > 0.25, values, np.nan), draws)
  assert (found["examples"], found["low"]) == (3, None)
  # Six values, of three of six songs.
  draws = intervals.draws(np.repeat(np.arange(6), 2), np.random.default_rng(0))
  found = intervals.mean(np.r_[values, np.full(6, np.nan)], draws)
  assert (found["examples"], found["low"]) == (6, None)


def test_intervals_are_over_songs():
  rng = np.random.default_rng(0)
  of_song = rng.normal(1.0, 0.5, 50)
  alone = intervals.mean(of_song, intervals.draws(np.arange(50), rng))
  songs = np.repeat(np.arange(50), 8)
  twins = intervals.mean(np.repeat(of_song, 8), intervals.draws(songs, rng))
  expected = 2 * 1.96 * of_song.std() / math.sqrt(50)
  for found in (alone, twins):
    low, high = np.array([found["low"], found["high"]], float)
    assert low < of_song.mean() < high
    assert high - low == pytest.approx(expected, rel=0.1)


def test_crossed_intervals_are_over_songs_and_raters():
  rng = np.random.default_rng(0)
  of_rater, of_song = rng.normal(0, 0.5, (20, 1)), rng.normal(3, 0.8, (1, 30))
  values, songs = of_rater + of_song, np.arange(30)
  found = intervals.crossed_mean(values, songs, 0)
  assert (found["mean"], found["answers"]) == (round(values.mean(), 4), 600)
  low, high = np.array([found["low"], found["high"]], float)
  error = math.sqrt(of_rater.var() / 20 + of_song.var() / 30)
  assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
  # One rater has the interval over songs; no ratings have no mean.
  draws = intervals.draws(songs, np.random.default_rng(0))
  alone = intervals.mean(values[0], draws) | {"answers": 30}
  del alone["examples"]
  assert intervals.crossed_mean(values[:1], songs, 0) == alone
  assert intervals.crossed_mean(values[:, :0], songs[:0], 0)["mean"] is None
