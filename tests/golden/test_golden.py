"""A training step and decoding of a tiny model against committed numbers.

Losses and norms agree to 1e-5, codes exactly. After a change that is meant to
alter results, write `expected.json` again and explain the change in the commit
message:

  PYTHONPATH=. python tests/golden/test_golden.py
"""

import contextlib
import dataclasses
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stemgen_jax import sampling
from stemgen_jax.model.config import CONDITION_SIZES, ModelConfig
from stemgen_jax.sampling import decode_codes
from stemgen_jax.training.config import DropConfig, MaskConfig, TrainConfig
from stemgen_jax.training.optimizer import OptimizerConfig
from stemgen_jax.training.step import init_state, make_train_step

EXPECTED = pathlib.Path(__file__).with_name("expected.json")
TOLERANCE = 1e-5
# Everything that the last bits depend on, whatever tests/conftest.py sets.
OPTIONS = {
  "jax_disable_most_optimizations": True,
  "jax_default_matmul_precision": "highest",
  "jax_enable_x64": False,
}

CONFIG = TrainConfig(
  model=ModelConfig(
    levels=3,
    codes=12,
    width=24,
    depth=2,
    heads=3,
    mlp=40,
    window=20,
    embedding="codebook",
    latent=5,
    conditions=("category", "genre", "role"),
    qk_norm=True,
    remat="none",
    dtype="float32",
  ),
  # Without a warm-up: the first step has to move the parameters.
  optimizer=OptimizerConfig(
    learning_rate=1e-2, warmup_steps=0, frozen=("blocks/query",)
  ),
  mask=MaskConfig(
    level_weights=(0.4, 0.3, 0.3), span_share=0.3, prefix_share=0.3
  ),
  drop=DropConfig(genre=0.5),
  seed=1,
  batch=8,
)


def guided(settings, **changes):
  """Settings with a scale for each condition of the model, all different."""
  scales = {"context": (2.5, 1.5), "category": 1.2, "genre": 0.8, "role": 1.0}
  return dataclasses.replace(settings, guidance=scales, **changes)


DECODING = {
  "default": guided(sampling.preset("default")),
  "paper": guided(sampling.preset("paper"), steps=(6, 4, 2)),
  "edit": guided(sampling.preset("default")),
}


@contextlib.contextmanager
def pinned():
  """One CPU device and fixed compiler options."""
  before = {name: jax.config.values[name] for name in OPTIONS}
  for name, value in OPTIONS.items():
    jax.config.update(name, value)
  try:
    with jax.default_device(jax.devices("cpu")[0]):
      yield
  finally:
    for name, value in before.items():
      jax.config.update(name, value)


@pytest.fixture(autouse=True)
def pinned_numerics():
  with pinned():
    yield


@pytest.fixture(scope="module")
def expected():
  return json.loads(EXPECTED.read_text())


@functools.cache
def initial_state():
  """Step 0, on the host: a step donates what is on the device."""
  model = CONFIG.model
  codebooks = jnp.asarray(
    np.random.default_rng(1).normal(
      size=(model.levels, model.codes, model.latent)
    ),
    jnp.float32,
  )
  init = jax.jit(lambda key: init_state(CONFIG, key, codebooks))
  return jax.device_get(init(jax.random.key(CONFIG.seed)))


def batch_of(config):
  rng = np.random.default_rng(0)
  shape = (config.batch, config.model.window, config.model.levels)
  batch = {
    name: rng.integers(0, config.model.codes, shape, np.int32)
    for name in ("context", "target")
  }
  for name, size in CONDITION_SIZES.items():
    batch[name] = rng.integers(0, size, config.batch, np.int32)
  return jax.device_put(batch)


def norms(state):
  """Norms of every parameter and of its average, by path."""
  kept = {name: state[name] for name in ("params", "ema")}
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): float(
      optax.global_norm(leaf)
    )
    for path, leaf in jax.tree_util.tree_leaves_with_path(kept)
  }


def train():
  """Metrics of two steps, and norms before and after the first."""
  step, key = make_train_step(CONFIG), jax.random.key(CONFIG.seed)
  batch, state = batch_of(CONFIG), initial_state()
  measured = {"norms 0": norms(state)}
  state, metrics = step(jax.device_put(state), batch, key)
  measured |= {"metrics 1": metrics, "norms 1": norms(state)}
  # The loss of the second step depends on every update of the first.
  measured["metrics 2"] = step(state, batch, key)[1]
  return jax.tree.map(lambda x: np.asarray(x).tolist(), measured)


def decode(name, noise=0.0):
  """Codes of two items as one line for each item and level."""
  config, rng = CONFIG.model, np.random.default_rng(2)

  def disturbed(x):
    return (x * (1 + noise * rng.standard_normal(x.shape))).astype(np.float32)

  b, t = 2, 18
  context = rng.integers(0, config.codes, (b, t, config.levels))
  known = rng.integers(0, config.codes, context.shape)
  given = {}
  if name == "edit":
    # A region in the middle is redone; the last two frames are padding.
    frames = np.arange(t)
    kept = (frames < 5) | (frames >= 11)
    given = {
      "known": known,
      "known_mask": np.broadcast_to(kept[None, :, None], context.shape),
      "valid": np.broadcast_to(frames < t - 2, (b, t)),
      "frame_offset": 7,
    }
  params = initial_state()["params"]
  # Fresh logits are nearly flat: the codes would depend on the seed alone.
  params = params | {"head": 20.0 * params["head"]}
  codes = decode_codes(
    config,
    jax.tree.map(disturbed, params),
    context,
    {name: np.array([1, 2]) for name in config.conditions},
    np.array([0, 5]),
    DECODING[name],
    **given,
  )
  return [
    " ".join(map(str, item[:, level]))
    for item in codes
    for level in range(config.levels)
  ]


def test_a_training_step_gives_the_committed_losses(expected):
  measured, wanted = train(), expected["training"]
  assert measured.keys() == wanted.keys()
  for group, values in wanted.items():
    assert measured[group].keys() == values.keys()
    for name, value in values.items():
      np.testing.assert_allclose(
        measured[group][name],
        value,
        rtol=TOLERANCE,
        atol=TOLERANCE,
        err_msg=f"{group}: {name}",
      )


@pytest.mark.parametrize("name", DECODING)
def test_decoding_gives_the_committed_codes(name, expected):
  assert decode(name) == expected["decoding"][name]


def main():
  """Write `expected.json`, unless a code is nearly tied with another."""
  with pinned():
    results = {
      "training": train(),
      "decoding": {name: decode(name) for name in DECODING},
    }
    for name, codes in results["decoding"].items():
      # A hundred times the rounding errors of float32.
      assert decode(name, noise=1e-5) == codes, f"{name}: take another seed"
  EXPECTED.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
  main()
