"""A small untrained model of the demo weights' codec and data, as a file."""

import dataclasses
import pathlib

import jax

from stemgen_jax import model


def save(path: pathlib.Path) -> pathlib.Path:
  """Write weights that commands read in place of the demo weights."""
  demo = model.load_weights("demo")
  config = dataclasses.replace(
    demo.config, width=64, depth=1, heads=2, mlp=64, window=100
  )
  params = model.init_params(config, jax.random.key(0))
  model.save_weights(path, config, params, demo.metadata)
  return path
