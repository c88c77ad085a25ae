"""How well does a stem fit a context, in time and harmony?

A small network that was trained to tell a song's stem from others, in JAX; see
README.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from stemgen_jax.coherence.network import Embedding
  from stemgen_jax.coherence.scoring import compared, embed, score, scorer
  from stemgen_jax.coherence.weights import load

__all__ = ["Embedding", "compared", "embed", "load", "score", "scorer"]

_MODULES = {"Embedding": "network", "load": "weights"}


def __getattr__(name: str) -> Any:
  # Imported on first use: the command line checks its input without jax.
  if name not in __all__:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  module = _MODULES.get(name, "scoring")
  return getattr(importlib.import_module(f"{__name__}.{module}"), name)
