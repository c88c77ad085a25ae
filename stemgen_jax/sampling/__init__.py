"""Sampling: from the model's probabilities to codes."""

from typing import TYPE_CHECKING, Any

from stemgen_jax.sampling.settings import PRESETS, Settings, preset

if TYPE_CHECKING:
  from stemgen_jax.sampling.decode import decode_codes

__all__ = ["PRESETS", "Settings", "decode_codes", "preset"]


def __getattr__(name: str) -> Any:
  # Imported on first use: settings are checked before jax is loaded.
  if name != "decode_codes":
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  from stemgen_jax.sampling import decode

  return decode.decode_codes
