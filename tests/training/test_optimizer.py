"""Tests of learning rate, decay, clipping and Muon."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fake_data import FakeBatches, fake_data, tiny_config
from steps import fresh, named, resolved, train_step

from configs import slakh
from stemgen_jax.training.optimizer import (
  OptimizerConfig,
  learning_rate,
  make_optimizer,
)
from stemgen_jax.training.resolve import resolve


def test_muon_steps_are_orthogonal():
  config = resolved()
  config.optimizer = dataclasses.replace(
    config.optimizer, kind="muon", weight_decay=0.0, warmup_steps=0
  )
  state = fresh(config)
  before = named(state["params"])
  state, metrics = train_step(config)(
    state, next(FakeBatches(config)), jax.random.key(1)
  )
  taken = {name: x - before[name] for name, x in named(state["params"]).items()}
  rate = float(metrics["learning_rate"])
  heads = taken["blocks/query/kernel"].shape[2]
  for name, matrix in {
    "down": taken["blocks/down/kernel"][0],
    "up": taken["blocks/up/kernel"][0][:, 0],
    "out": taken["blocks/out/kernel"][0],
    **{
      f"query {head}": taken["blocks/query/kernel"][0][:, head]
      for head in range(heads)
    },
  }.items():
    matrix = matrix.reshape(-1, matrix.shape[-1])
    # As large as AdamW's, in all directions alike.
    np.testing.assert_allclose(
      np.sqrt((matrix**2).mean()) / rate, 0.2, rtol=0.35, err_msg=name
    )
    values = np.linalg.svd(matrix, compute_uv=False)
    # Except in directions with hardly any gradient. (AdamW: 0.2.)
    assert np.quantile(values, 0.25) > 0.5 * values.max(), name
  assert not taken["embedding/codebooks"].any()


def test_muon_decays_and_freezes_what_adamw_does():
  def after(kind):
    config = resolved().optimizer
    config = dataclasses.replace(
      config, kind=kind, weight_decay=0.1, warmup_steps=0, frozen=("blocks/up",)
    )
    params = fresh(resolved())["params"]
    optimizer = make_optimizer(config)
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    return {name for name, x in named(updates).items() if x.any()}

  moved = after("muon")
  assert moved == after("adamw")
  assert {"head", "blocks/query/kernel", "blocks/down/kernel"} <= moved
  assert not {"blocks/up/kernel", "norm/scale"} & moved


def test_learning_rate_rises_holds_and_decays():
  rate = learning_rate(
    OptimizerConfig(
      learning_rate=1.0,
      warmup_steps=10,
      hold_steps=20,
      decay_steps=100,
      final_ratio=0.01,
    )
  )
  values = [
    np.asarray(rate(step)).item() for step in (0, 5, 10, 30, 80, 130, 1000)
  ]
  assert values == pytest.approx([0, 0.5, 1, 1, 0.1, 0.01, 0.01], rel=1e-3)


def test_learning_rate_is_optax_s_where_nothing_is_held():
  config = OptimizerConfig(
    learning_rate=3e-4,
    warmup_steps=7,
    hold_steps=0,
    decay_steps=50,
    final_ratio=0.05,
  )
  theirs = optax.warmup_exponential_decay_schedule(
    0.0, 3e-4, 7, 50, 0.05, end_value=0.05 * 3e-4
  )
  ours, steps = learning_rate(config), range(0, 80, 3)
  np.testing.assert_allclose(
    np.array([ours(step) for step in steps]),
    np.array([theirs(step) for step in steps]),
    rtol=1e-5,
  )


def test_the_papers_learning_rate():
  rate = learning_rate(slakh.get_config().optimizer)
  values = [float(np.asarray(rate(step))) for step in (5_000, 10_000, 60_000)]
  assert values == pytest.approx([2.5e-4, 5e-4, 5e-4], rel=1e-4)
  assert float(np.asarray(rate(61_000))) < 5e-4


DECAYED = {
  "blocks/query/kernel",
  "blocks/key/kernel",
  "blocks/value/kernel",
  "blocks/out/kernel",
  "blocks/up/kernel",
  "blocks/down/kernel",
  "head",
}


def test_weight_decay_is_on_kernels_alone():
  config = tiny_config()
  config.model.qk_norm = True
  config = resolve(config, fake_data())
  params = fresh(config)["params"]
  optimizer = make_optimizer(
    OptimizerConfig(learning_rate=1.0, warmup_steps=0, weight_decay=0.1)
  )

  @jax.jit
  def updates_of_nothing(params):
    nothing = jax.tree.map(jnp.zeros_like, params)
    return optimizer.update(nothing, optimizer.init(params), params)[0]

  updates = updates_of_nothing(params)
  moved = {name: x for name, x in named(updates).items() if x.any()}
  # No norm, embedding, mask or null is among them.
  assert moved.keys() == DECAYED
  for name, x in moved.items():
    np.testing.assert_allclose(x, -0.1 * named(params)[name], rtol=1e-5)


def test_gradients_are_clipped_by_their_global_norm():
  params = {"kernel": jnp.zeros(3), "norm": jnp.zeros(1)}
  config = OptimizerConfig(clip_norm=2.0, warmup_steps=0)
  optimizer = make_optimizer(config)

  @jax.jit
  def moments(scale):
    gradient = {
      "kernel": scale * jnp.array([1.0, 2.0, 2.0]),
      "norm": scale * jnp.array([4.0]),
    }
    return optimizer.update(gradient, optimizer.init(params), params)[1]

  def moment(scale):
    found = named(moments(scale))
    return {
      name: next(x for path, x in found.items() if path.endswith(f"mu/{name}"))
      for name in params
    }

  # Gradients of norm 5 and 500: both clipped to 2, times 1 - beta1.
  for scale in (1.0, 100.0):
    clipped = moment(scale)
    norm = np.sqrt(sum((x**2).sum() for x in clipped.values()))
    assert norm == pytest.approx(2.0 * (1 - config.beta1), rel=1e-4)
  small = moment(0.1)
  np.testing.assert_allclose(
    small["kernel"], (1 - config.beta1) * np.array([0.1, 0.2, 0.2]), rtol=1e-4
  )
