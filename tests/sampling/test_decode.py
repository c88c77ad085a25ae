"""Tests of decoding: known and padded frames, seeds, meshes of devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
  decode,
  known_probabilities,
  small_config,
  table_params,
  tables,
)

from stemgen_jax import model
from stemgen_jax.model import sharding
from stemgen_jax.sampling import Settings


def test_coarser_levels_are_clean_and_finer_ones_masked_in_all_frames():
  def check(config, params, context, target, conditions, level, **_):
    finer = jnp.arange(config.levels)[None, None] > level
    coarser = jnp.arange(config.levels)[None, None] < level
    masked = target == config.codes
    right = jnp.all(masked | ~finer) & ~jnp.any(masked & coarser)
    code = jnp.where(right, 1, 2)
    return jnp.broadcast_to(
      1e4 * jax.nn.one_hot(code, config.codes),
      (*target.shape[:2], config.codes),
    )

  known = np.full((1, 16, 4), 1)
  codes = decode(
    check,
    small_config(levels=4),
    Settings(),
    known=known,
    known_mask=np.repeat(np.arange(16)[None, :, None] % 3 == 0, 4, axis=2),
  )
  assert (codes == 1).all()


def test_the_model_knows_where_the_context_ends():
  def ends(config, params, context, target, *_, context_frames, **__):
    known = jnp.arange(target.shape[1])[None] < context_frames[:, None]
    return 1e4 * jax.nn.one_hot(jnp.where(known, 1, 2), config.codes)

  config = small_config()
  lengths = np.array([0, 5, 16])
  with pytest.raises(ValueError, match="not trained with an unknown context"):
    decode(ends, config, Settings(), b=3, context_frames=lengths)
  config.future = True
  codes = decode(ends, config, Settings(), b=3, context_frames=lengths)
  expected = np.where(np.arange(16)[None] < lengths[:, None], 1, 2)
  assert (codes == expected[..., None]).all()


def test_known_frames_stay_padding_is_0_and_nothing_stays_masked():
  config = small_config()
  draw = np.random.default_rng(2)
  known = draw.integers(0, config.codes, (8, 16, 2))
  known_mask = draw.random((8, 16, 2)) < 0.4
  known_mask[0] = True
  valid = np.arange(16)[None] < np.array([16, 16, 1, 5, 9, 13, 15, 2])[:, None]
  codes = decode(
    tables,
    config,
    Settings(),
    b=8,
    params=table_params(config),
    known=known,
    known_mask=known_mask,
    valid=valid,
  )
  kept = known_mask & valid[..., None]
  np.testing.assert_array_equal(codes[kept], known[kept])
  assert (codes >= 0).all()
  assert (codes < config.codes).all()
  assert (codes[~valid] == 0).all()


def test_padding_changes_nothing():
  config = small_config()
  params = table_params(config)
  context = np.random.default_rng(4).integers(0, config.codes, (1, 10, 2))
  alone = decode(tables, config, Settings(), params=params, context=context)
  padded = decode(
    tables,
    config,
    Settings(),
    params=params,
    context=np.pad(context, ((0, 0), (0, 6), (0, 0)), constant_values=3),
    valid=np.arange(16)[None] < 10,
  )
  np.testing.assert_array_equal(padded[:, :10], alone)


@pytest.mark.parametrize("rank", ["paper", "gumbel"])
def test_a_take_is_the_same_alone_among_eight_and_on_eight_devices(rank):
  config = small_config(levels=2, codes=32)
  params = model.init_params(config, jax.random.key(1))
  draw = np.random.default_rng(3)
  context = draw.integers(0, config.codes, (8, 16, 2))
  category = draw.integers(0, 18, 8)
  seeds = np.array([7, 7, 0, 1, 2**32 - 1, 5, 6, 3])

  def takes(items, **given):
    return decode(
      model.apply,
      config,
      Settings(steps=(4, 2), rank=rank),
      context=context[items],
      conditions={"category": category[items]},
      seeds=seeds[items],
      b=len(items),
      params=params,
      **given,
    )

  alone = np.concatenate([takes(np.array([item])) for item in range(8)])
  np.testing.assert_array_equal(takes(np.arange(8), at_once=1), alone)
  assert (takes(np.arange(8)) == alone).mean() > 0.99
  with jax.set_mesh(sharding.make_mesh(8)):
    np.testing.assert_array_equal(takes(np.arange(8)), alone)
    # A number of takes that the devices do not divide.
    np.testing.assert_array_equal(takes(np.arange(3)), alone[:3])
  with jax.set_mesh(sharding.make_mesh(2)):
    np.testing.assert_array_equal(takes(np.arange(8), at_once=1), alone)


def test_tensor_parallelism_agrees():
  config = small_config(levels=2, codes=32)
  params = model.init_params(config, jax.random.key(1))
  with jax.set_mesh(sharding.make_mesh(1, 2)):
    shapes = jax.eval_shape(
      lambda: model.init_params(config, jax.random.key(1))
    )
  auto = jax.make_mesh(
    (1, 2),
    ("data", "model"),
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
    devices=jax.devices()[:2],
  )
  split = jax.tree.map(
    lambda x, shape: jax.device_put(
      x, jax.NamedSharding(auto, shape.sharding.spec)
    ),
    params,
    shapes,
  )
  heads = split["blocks"]["query"]["kernel"].sharding.spec
  assert "model" in heads
  context = np.random.default_rng(3).integers(0, config.codes, (8, 16, 2))
  one, two = (
    decode(model.apply, config, Settings(), context=context, b=8, params=p)
    for p in (params, split)
  )
  assert (one == two).mean() > 0.99


def test_noise_belongs_to_the_absolute_frame():
  config = small_config(levels=1, codes=64)
  params, settings = jnp.full(64, 1 / 64), Settings(steps=(1,))

  def take(t, **given):
    return decode(
      known_probabilities, config, settings, t=t, params=params, **given
    )

  whole = take(40)
  np.testing.assert_array_equal(take(10, frame_offset=17), whole[:, 17:27])
  assert (take(40, seeds=np.array([1])) != whole).mean() > 0.8


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"known": np.zeros((1, 16, 2), int)}, "known and known_mask"),
    ({"known_mask": np.ones((1, 16, 2), bool)}, "known and known_mask"),
    ({"at_once": 0}, "at_once 0"),
  ],
)
def test_arguments_that_do_not_fit_are_named(given, message):
  with pytest.raises(ValueError, match=message):
    decode(tables, small_config(), Settings(), **given)


def test_progress_counts_the_steps_and_can_stop_them():
  done, config = [], small_config()
  given = {"params": table_params(config), "settings": Settings(steps=(6, 2))}
  codes = decode(tables, config, progress=done.append, **given)
  assert done == [1] * 8
  np.testing.assert_array_equal(codes, decode(tables, config, **given))

  def stop(_):
    done.append(1)
    if len(done) == 3:
      raise InterruptedError

  done.clear()
  with pytest.raises(InterruptedError):
    decode(tables, config, progress=stop, **given)
  assert len(done) == 3
