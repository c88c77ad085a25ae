"""The model, as pure functions on plain parameters."""

import importlib
from typing import TYPE_CHECKING, Any

from stemgen_jax.model.config import (
  CONDITION_SIZES,
  SPECTRUM_BANDS,
  ModelConfig,
)

if TYPE_CHECKING:
  from stemgen_jax.model.transformer import (
    Params,
    Transformer,
    apply,
    init_params,
  )
  from stemgen_jax.model.weights import Weights, load_weights, save_weights

__all__ = [
  "CONDITION_SIZES",
  "SPECTRUM_BANDS",
  "ModelConfig",
  "Params",
  "Transformer",
  "Weights",
  "apply",
  "init_params",
  "load_weights",
  "save_weights",
]


def __getattr__(name: str) -> Any:
  # Imported on first use: configurations are checked before jax is loaded.
  if name not in __all__:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  home = "weights" if name.lower().endswith("weights") else "transformer"
  return getattr(importlib.import_module(f"{__name__}.{home}"), name)
