"""Tests of which frames are fixed first, and of the codes drawn for them."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from known_models import (
  NO_GUIDANCE,
  PROBABILITIES,
  decode,
  known_probabilities,
  small_config,
  when,
)

from stemgen_jax.sampling import Settings


def test_causal_weight_alone_decodes_from_left_to_right():
  settings = Settings(
    steps=(8,),
    rank="paper",
    w_confidence=0,
    w_causal=1,
    w_random=0,
    guidance=NO_GUIDANCE,
  )
  codes = decode(when, small_config(codes=64), settings, t=40)
  assert (np.diff(codes[0, :, 0]) >= 0).all()
  assert codes[0, 0, 0] == 0
  assert codes[0, -1, 0] > 0


@pytest.mark.parametrize(
  ("rank", "schedule", "noise"),
  [
    ("paper", "cosine", 0.0),
    ("paper", "linear", 1.0),
    ("gumbel", "cosine", 0.0),
    ("gumbel", "square", 1.0),
    ("random", "root", 1.0),
    ("low_discrepancy", "cosine", 0.0),
  ],
)
def test_counts_follow_the_schedule_also_when_all_ranks_tie(
  rank, schedule, noise
):
  settings = Settings(
    steps=(5,),
    rank=rank,
    schedule=schedule,
    w_confidence=1,
    w_causal=0,
    w_random=noise,
    rank_temperature=noise,
    guidance=NO_GUIDANCE,
  )
  codes = decode(when, small_config(codes=64), settings, b=3, t=40)
  u = np.arange(5) / 5
  left = {
    "cosine": np.cos(np.pi / 2 * u),
    "linear": 1 - u,
    "square": 1 - u**2,
    "root": 1 - u**0.5,
  }[schedule]
  expected = (40 - np.floor(40 * left + 1e-6)).tolist()
  for item in codes:
    assert np.unique(item[:, 0]).tolist() == expected


@pytest.mark.parametrize("rank", ["paper", "random"])
def test_random_weight_alone_takes_every_order_alike(rank):
  settings = Settings(
    steps=(2,), rank=rank, w_confidence=0, w_causal=0, guidance=NO_GUIDANCE
  )
  codes = decode(when, small_config(levels=1), settings, b=5600, t=8)
  first = [tuple(np.flatnonzero(item == 0).tolist()) for item in codes[..., 0]]
  subsets = list(itertools.combinations(range(8), 8 - int(8 * 0.5**0.5)))
  counts = [first.count(subset) for subset in subsets]
  assert sum(counts) == len(codes)
  assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_low_discrepancy_spreads_what_is_fixed_evenly():
  settings = Settings(
    steps=(4,), rank="low_discrepancy", schedule="linear", guidance=NO_GUIDANCE
  )
  codes = decode(when, small_config(codes=128), settings, b=4, t=128)[..., 0]
  for item in codes:
    for fixed in (32, 64, 96):
      places = np.flatnonzero(item < fixed)
      gaps = np.diff(np.append(places, places[0] + 128))
      assert gaps.max() <= (4 if fixed == 32 else 2)
  # The roll: which frames come first is the seed's.
  assert len({tuple(np.flatnonzero(item == 0)[:1]) for item in codes}) > 1


@pytest.mark.parametrize(
  ("steps", "given", "expected"),
  [
    (1, {}, PROBABILITIES),
    (16, {}, PROBABILITIES),
    # 50 frames in 50 steps: one token at a time.
    (50, {"schedule": "linear"}, PROBABILITIES),
    (16, {"temperature": 2.0}, PROBABILITIES**0.5),
    (4, {"top_k": 3}, PROBABILITIES * [1, 1, 1, 0, 0, 0]),
    (4, {"top_p": 0.84}, PROBABILITIES * [1, 1, 1, 0, 0, 0]),
    (4, {"top_p": 0.86}, PROBABILITIES * [1, 1, 1, 1, 0, 0]),
    (4, {"top_p": 0.86, "top_k": 2}, PROBABILITIES * [1, 1, 0, 0, 0, 0]),
  ],
)
def test_codes_come_with_the_models_probabilities(steps, given, expected):
  settings = Settings(
    steps=(steps,), rank="random", guidance=NO_GUIDANCE, **given
  )
  codes = decode(
    known_probabilities,
    small_config(levels=2, codes=6),
    settings,
    b=200,
    t=50,
    params=jnp.asarray(PROBABILITIES),
  )
  valid = expected > 0
  expected = expected[valid] * 200 * 50 / expected.sum()
  for level in range(2):
    counts = np.bincount(codes[..., level].ravel(), minlength=6)
    assert counts[~valid].sum() == 0
    assert scipy.stats.chisquare(counts[valid], expected).pvalue > 1e-3


def test_temperature_and_truncation_are_per_level():
  settings = Settings(
    steps=(2,),
    rank="random",
    guidance=NO_GUIDANCE,
    temperature=(1.0, 1e-4, 1.0),
    top_k=(0, 0, 2),
  )
  codes = decode(
    known_probabilities,
    small_config(levels=4, codes=6),
    settings,
    t=300,
    params=jnp.asarray(PROBABILITIES),
  )
  counts = [len(np.unique(codes[0, :, level])) for level in range(4)]
  assert counts[0] > 4
  assert counts[1:] == [1, 2, 2]


def test_sampling_is_in_float32_whatever_the_model_computes_in():
  def flat(config, params, context, *_, **__):
    shape = (*context.shape[:2], config.codes)
    return jnp.zeros(shape, jnp.bfloat16)

  # In bfloat16 the noise of 512 codes is full of ties, and the first one wins.
  settings = Settings(steps=(1,), rank="random", guidance=NO_GUIDANCE)
  codes = decode(flat, small_config(levels=1, codes=512), settings, b=40, t=512)
  counts = np.bincount(codes.ravel(), minlength=512)
  assert scipy.stats.chisquare(counts).pvalue > 1e-3
