"""The implementation of EnCodec's networks: that of its package, or another.

Both compute the same. The code of the package `encodec` may not be used
commercially; that of `transformers` may, see the README.
"""

import importlib.util
from typing import Any

from stemgen_jax.codec.config import NetworkConfig

NAMES = ("auto", "encodec", "transformers")


def check(name: str) -> None:
  """Raise ValueError unless `name` is a backend that is installed."""
  if name not in NAMES:
    raise ValueError(
      f"--codec_backend={name}: expected one of {', '.join(NAMES)}"
    )
  if name != "auto" and importlib.util.find_spec(name) is None:
    raise ValueError(
      f"--codec_backend={name}: {name} is not installed; run: pip install "
      f"{name}"
    )


def choose(name: str) -> str:
  """Return the backend, for "auto" encodec if it is installed.

  Raises:
    ValueError: see `check`.
  """
  check(name)
  if name != "auto":
    return name
  found = importlib.util.find_spec("encodec") is not None
  return "encodec" if found else "transformers"


def make(config: NetworkConfig, name: str = "auto") -> Any:
  """Return networks with random weights; errors as in `choose`."""
  if choose(name) == "encodec":
    from stemgen_jax.codec.networks import Network
  else:
    from stemgen_jax.codec.transformers_networks import Network
  return Network(config)
