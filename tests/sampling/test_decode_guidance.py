"""Tests of guidance while decoding, by the branches that are run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import decode, one_branch, small_config, table_params, tables

from stemgen_jax.sampling import Settings


@pytest.mark.parametrize(
  ("form", "context", "category"),
  [
    ("paper", 0.0, 0.0),
    ("paper", 1.0, 0.0),
    ("paper", 0.0, 1.0),
    ("nested", 0.0, 0.0),
    ("nested", 0.0, 1.0),
    ("nested", 1.0, 1.0),
  ],
)
def test_scales_of_0_and_1_give_the_single_branches(form, context, category):
  config = small_config()
  keep = jnp.array([context, category], bool)
  given = {
    "params": table_params(config) | {"keep": keep},
    "context": np.random.default_rng(1).integers(0, config.codes, (2, 16, 2)),
    "conditions": {"category": np.array([3, 3])},
    "b": 2,
  }
  scales = {"context": context, "category": category}
  settings = Settings(steps=(6, 3), guidance_form=form, guidance=scales)
  np.testing.assert_array_equal(
    decode(tables, config, settings, **given),
    decode(one_branch, config, settings, **given),
  )


def _branches_run(config, params, context, *_, **__):
  """Predicts how many branches the model is run for, with b = 1."""
  logits = 1e4 * jax.nn.one_hot(len(context), config.codes)
  return jnp.broadcast_to(logits, (len(context), context.shape[1], len(logits)))


@pytest.mark.parametrize("form", ["paper", "nested"])
def test_steps_outside_the_interval_run_one_branch(form):
  settings = Settings(
    steps=(4,),
    schedule="linear",
    rank="random",
    guidance_form=form,
    guidance={"context": 2.0, "category": 3.0},
    guidance_interval=(0.25, 0.75),
  )
  codes = decode(_branches_run, small_config(levels=1), settings, t=16)
  assert np.bincount(codes.ravel()).tolist() == [0, 8, 0, 8]


def test_a_scale_per_level_runs_the_branches_of_each():
  settings = Settings(
    steps=(2,), guidance={"context": (3.0, 1.0), "category": 1.0}
  )
  codes = decode(_branches_run, small_config(levels=3), settings)
  assert codes[0, 0].tolist() == [2, 1, 1]


@pytest.mark.parametrize("form", ["paper", "nested"])
def test_a_ramp_at_0_is_the_plain_prediction_and_at_1_the_guided(form):
  config = small_config()
  given = {
    "params": table_params(config) | {"keep": jnp.array([True, True])},
    "context": np.random.default_rng(1).integers(0, config.codes, (2, 16, 2)),
    "conditions": {"category": np.array([3, 3])},
    "b": 2,
  }
  scales = {"context": 3.0, "category": 2.0}

  def take(apply=tables, **settings):
    settings = {"guidance_form": form, "guidance": scales} | settings
    return decode(apply, config, Settings(steps=(6, 3), **settings), **given)

  plain = take(one_branch)
  guided = take()
  np.testing.assert_array_equal(take(guidance_ramp=(0.0, 0.0)), plain)
  assert (guided != plain).any()
  # A ramp adds the plain branch with weight 0, which changes the rounding.
  almost = take(guidance_ramp=(1.0, 1.0 - 1e-6))
  assert (almost == guided).mean() > 0.95
  between = take(guidance_ramp=(0.0, 1.0))
  assert (between != plain).any()
  assert (between != guided).any()
