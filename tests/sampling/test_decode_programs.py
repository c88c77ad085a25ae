"""Tests of what decoding compiles and how often it runs the model."""

import itertools
import typing

import jax
import numpy as np
from known_models import NO_GUIDANCE, decode, small_config, table_params, tables

from stemgen_jax.sampling import Settings, cost
from stemgen_jax.sampling import decode_level as decode_lib


def test_no_tracer_leaks():
  params = table_params(small_config())
  typing.cast(typing.Any, decode_lib.decode_level).clear_cache()
  with jax.checking_leaks():
    decode(tables, small_config(), Settings(steps=(2, 1)), params=params)


def test_other_values_do_not_compile_again():
  program = typing.cast(typing.Any, decode_lib.decode_level)
  program.clear_cache()
  some = Settings(
    top_k=5,
    guidance={"context": 3.0, "category": 1.0},
    guidance_interval=(0.5, 1.0),
    guidance_ramp=(2.0, 1.0),
  )
  others = Settings(
    steps=(3, 5),
    w_confidence=0.5,
    w_causal=0.0,
    w_random=0.2,
    rank_temperature=(1.0, 2.0),
    guidance={"context": (1.5, 4.0), "category": 1.0},
    guidance_interval=(0.0, 0.7),
    guidance_ramp=(1.0, 3.0),
    temperature=(0.7, 0.9),
    top_k=(2, 3),
    top_p=0.9,
  )
  for settings, seed in itertools.product((some, others), (0, 1)):
    # Each call has its own config, equal to the others.
    given = {"params": table_params(small_config()), "seeds": np.array([seed])}
    decode(tables, small_config(), settings, **given)
    decode(
      tables,
      small_config(),
      settings,
      frame_offset=seed,
      known=np.ones((1, 16, 2), int),
      known_mask=np.arange(32).reshape(1, 16, 2) % 2 == 1,
      valid=np.arange(16)[None] < 8,
      **given,
    )
  assert program._cache_size() == 1


def test_a_wholly_known_level_is_not_computed():
  def never(config, params, context, target, *_, **__):
    raise AssertionError("the model was run")

  known = np.random.default_rng(0).integers(0, 8, (1, 16, 2))
  codes = decode(
    never,
    small_config(),
    Settings(),
    known=known,
    known_mask=np.ones(known.shape, bool),
  )
  np.testing.assert_array_equal(codes, known)


def _count_runs(settings, frames=16):
  """Return the branches of each run of the model for so many frames."""
  runs = []

  def counting(config, params, context, *arguments, **options):
    jax.debug.callback(lambda: runs.append(len(context)), ordered=True)
    return tables(config, params, context, *arguments, **options)

  config = small_config()
  known_mask = np.broadcast_to(np.arange(16) >= frames, (1, 2, 16))
  given = {
    "params": table_params(config),
    "known": np.zeros((1, 16, 2), int),
    "known_mask": known_mask.swapaxes(1, 2),
  }
  codes = decode(counting, config, settings, **given)
  jax.effects_barrier()
  expected = decode(tables, config, settings, **given)
  np.testing.assert_array_equal(codes, expected)
  assert codes.max() < config.codes
  assert cost.passes(settings, config, [frames] * 2) == sum(runs)
  return runs


def test_steps_that_fix_no_frame_do_not_run_the_model():
  settings = Settings(steps=(40, 3), guidance=NO_GUIDANCE)
  left = np.floor(16 * np.cos(np.pi / 2 * np.arange(41) / 40) + 1e-6)
  fixing = np.count_nonzero(np.diff(left))
  assert fixing <= 16
  assert _count_runs(settings) == [1] * (fixing + 3)
  assert _count_runs(settings, frames=2) == [1] * 4  # one by one


def test_branches_of_weight_0_are_not_computed():
  settings = Settings(
    steps=(3, 2),
    guidance={"context": (2.5, 1.0), "category": 1.0},
    guidance_ramp=(2.0, 0.0),
  )
  # Guided, guided, unguided; then a level without guidance.
  assert _count_runs(settings) == [2, 2, 1, 1, 1]


def test_levels_with_and_without_guidance_share_a_program():
  program = typing.cast(typing.Any, decode_lib.decode_level)
  program.clear_cache()
  settings = Settings(guidance={"context": (2.5, 1.0), "category": 1.0})
  config = small_config()
  params = table_params(config)
  decode(tables, config, settings, params=params, compile_only=True)
  assert program._cache_size() == 1
  codes = decode(tables, config, settings, params=params)
  assert program._cache_size() == 1
  assert codes.max() < config.codes
