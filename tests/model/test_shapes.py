"""Shapes of the parameters, computed without Flax."""

import jax
import pytest

from stemgen_jax.model import ModelConfig, init_params
from stemgen_jax.model.shapes import param_shapes


@pytest.mark.parametrize(
  "fields",
  [
    {"conditions": ()},
    {"embedding": "codebook", "latent": 5, "future": True},
    {"qk_norm": True, "context": "spectrum", "conditions": ("genre", "role")},
  ],
)
def test_shapes_are_those_of_the_initial_parameters(fields):
  config = ModelConfig(
    levels=3, codes=7, width=16, depth=2, heads=4, mlp=10, window=6, **fields
  )
  params = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
  leaves, _ = jax.tree_util.tree_flatten_with_path(params)
  expected = {
    jax.tree_util.keystr(path, simple=True, separator="/"): x.shape
    for path, x in leaves
  }
  assert param_shapes(config) == expected
