"""The model, as pure functions on plain parameters."""

from stemgen_jax.model.config import CONDITION_SIZES, ModelConfig
from stemgen_jax.model.transformer import (
  Params,
  Transformer,
  apply,
  init_params,
)
from stemgen_jax.model.weights import Weights, load_weights, save_weights

__all__ = [
  "CONDITION_SIZES",
  "ModelConfig",
  "Params",
  "Transformer",
  "Weights",
  "apply",
  "init_params",
  "load_weights",
  "save_weights",
]
