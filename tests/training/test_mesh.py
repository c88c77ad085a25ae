import functools
from typing import Any

import jax
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config

from stemgen_jax.model import sharding
from stemgen_jax.training import trainer
from stemgen_jax.training.prefetch import place
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import init_state, make_train_step

MESHES = [(8, 1), (4, 2), (2, 4)]


@functools.cache
def config(kind="adamw"):
  config = tiny_config()
  config.model.heads = 4
  config.optimizer.kind = kind
  return resolve(config, fake_data())


def train(kind, steps=4):
  """Losses of some steps, and the parameters after them, on the set mesh."""
  state = jax.jit(lambda key, books: init_state(config(kind), key, books))(
    jax.random.key(0), fake_data().codebooks
  )
  step: Any = make_train_step(config(kind))
  batches = FakeBatches(config(kind))
  losses = []
  for _ in range(steps):
    state, metrics = step(state, place(next(batches)), jax.random.key(1))
    losses.append(float(metrics["loss"]))
  assert step._cache_size() == 1
  return losses, state["params"]


@functools.cache
def alone(kind):
  losses, params = train(kind)
  return losses, jax.device_get(params)


@pytest.mark.parametrize(
  ("shape", "kind"),
  [*((shape, "adamw") for shape in MESHES), ((4, 2), "muon")],
)
def test_every_mesh_has_the_losses_of_one_device(shape, kind):
  with jax.set_mesh(sharding.make_mesh(*shape)):
    losses, params = train(kind)
    up = params["blocks"]["up"]["kernel"]
  data, model = shape
  # FSDP over data, tensor parallel over model: every device has its shard.
  depth, d, two, f = up.shape
  (part,) = {shard.data.shape for shard in up.addressable_shards}
  assert part == (depth, d // data, two, f // model)
  expected, expected_params = alone(kind)
  np.testing.assert_allclose(losses, expected, rtol=1e-5)
  jax.tree.map(
    # AdamW's first steps have about the size of the learning rate, 1e-2,
    # whatever the gradient: where that is nearly 0, its sign is chance.
    lambda x, y: np.testing.assert_allclose(x, y, atol=2e-3),
    params,
    expected_params,
  )


def test_mesh_larger_than_the_machine_is_refused():
  with pytest.raises(ValueError, match="16 devices; there are 8"):
    sharding.make_mesh(8, 2)


@pytest.mark.parametrize(
  ("mesh", "message"),
  [
    ({"mesh_model": 3}, "mesh_model=3: must divide model.heads=4"),
    ({"mesh_data": 5}, "batch=8: must be a multiple of the 5 devices"),
  ],
)
def test_model_that_does_not_divide_over_the_mesh_is_refused(
  mesh, message, tmp_path
):
  wanted = tiny_config(**mesh)
  wanted.model.heads = 4

  def start():
    whole = resolve(wanted, fake_data())
    trainer.train(whole, fake_data(), FakeBatches(whole), [], tmp_path)

  with pytest.raises(ValueError, match=message):
    start()
