"""Sampling: from the model's probabilities to codes."""

from typing import Any

from stemgen_jax.sampling.settings import PRESETS, Settings, preset

__all__ = ["PRESETS", "Settings", "decode_codes", "preset"]


def __getattr__(name: str) -> Any:
  # Imported on first use: settings are checked before jax is loaded.
  if name != "decode_codes":
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  from stemgen_jax.sampling import decode

  return decode.decode_codes
