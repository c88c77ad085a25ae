import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config

from stemgen_jax.model import ModelConfig, products
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import (
  init_state,
  make_gradient,
  make_train_step,
  make_validation_step,
  views,
)


def config(dtype):
  model = ModelConfig(
    width=16,
    depth=2,
    heads=2,
    mlp=24,
    window=8,
    embedding="table",
    qk_norm=True,
    remat="none",
    dtype=dtype,
  )
  return resolve(tiny_config(model=model), fake_data())


class Gpu:
  def __init__(self, capability):
    self.compute_capability = capability


@pytest.mark.parametrize(
  ("backend", "flags", "capability", "dtype"),
  [
    ("cpu", {"avx2", "avx512f", "amx_bf16"}, None, "bfloat16"),
    ("cpu", {"avx2", "avx512_bf16"}, None, "float32"),
    ("cpu", set(), None, "float32"),
    ("gpu", set(), "7.5", "float32"),
    ("gpu", set(), "8.0", "bfloat16"),
    ("gpu", set(), "10.0", "bfloat16"),
    ("gpu", set(), "gfx942", "bfloat16"),
    ("tpu", set(), None, "bfloat16"),
  ],
)
def test_auto_is_bfloat16_only_where_it_is_fast(
  backend, flags, capability, dtype, monkeypatch
):
  monkeypatch.setattr(jax, "default_backend", lambda: backend)
  monkeypatch.setattr(jax, "devices", lambda: [Gpu(capability)])
  monkeypatch.setattr(products, "processor_flags", lambda: frozenset(flags))
  assert products.resolve_dtype("auto") == dtype
  assert products.resolve_dtype("float32") == "float32"
  assert products.resolve_dtype("bfloat16") == "bfloat16"


def test_products_and_their_gradients_agree_with_float32():
  keys = jax.random.split(jax.random.key(0), 3)
  x, kernel = (
    jax.random.normal(key, shape)
    for key, shape in zip(keys, [(6, 32), (32, 5)])
  )
  weights = jax.random.normal(keys[2], (6, 5))

  def value(multiply, x, kernel):
    return (multiply(x, kernel) * weights).sum()

  low, exact = (
    jax.value_and_grad(functools.partial(value, multiply), argnums=(0, 1))(
      x, kernel
    )
    for multiply in (products.product, jnp.matmul)
  )
  # Operands have 8 bits, sums 24.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0.02, atol=0.15),
    low,
    exact,
  )
  assert {g.dtype for g in low[1]} == {jnp.dtype("float32")}


@functools.cache
def lowered():
  """Operands and results of every product of a gradient."""
  low = config("bfloat16")
  state = jax.eval_shape(
    lambda key: init_state(low, key, None), jax.random.key(0)
  )
  batch = jax.eval_shape(lambda: next(FakeBatches(low)))
  batch = {name: x for name, x in batch.items() if name != "song"}

  def gradient(params, batch, key):
    return make_gradient(low)(params, views(low, batch, key))

  text = jax.jit(gradient).lower(state["params"], batch, jax.random.key(0))
  return re.findall(
    r"dot_general.*: \(tensor<\S*?(\w+)>, tensor<\S*?(\w+)>\) -> "
    r"tensor<\S*?(\w+)>",
    text.as_text(),
  )


def test_every_product_of_a_gradient_has_bfloat16_operands():
  types = [tuple(re.sub(r"^.*x", "", y) for y in x) for x in lowered()]
  # Seven kernels, two products of attention and the head, each with two
  # gradients; those of equal shapes may share a function.
  assert len(types) >= 3 * 8
  assert set(types) == {("bf16", "bf16", "f32")}


def test_bfloat16_trains_as_float32_does():
  losses = {}
  for dtype in ("float32", "bfloat16"):
    run = config(dtype)
    state = jax.jit(lambda key, run=run: init_state(run, key, None))(
      jax.random.key(0)
    )
    step: Any = make_train_step(run)
    batches = FakeBatches(run)
    for _ in range(20):
      batch = next(batches)
      batch.pop("song")
      state, _ = step(state, batch, jax.random.key(1))
    held_out = next(FakeBatches(run, seed=1))
    sums = make_validation_step(run)(
      state["params"], held_out, jax.random.key(2)
    )
    losses[dtype] = sums["level_loss"].sum() / sums["level_tokens"].sum()
  assert losses["bfloat16"] != losses["float32"]
  np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.01)
