"""Functions that define the flags of one command."""

import functools
import types
from typing import Any

from absl import flags

_KINDS = ("bool", "enum", "float", "integer", "list", "multi_string", "string")


def bound(values: flags.FlagValues) -> Any:
  """Return absl's DEFINE functions by kind, for the flags of a command."""
  functions = {
    kind: functools.partial(
      getattr(flags, f"DEFINE_{kind}"), flag_values=values
    )
    for kind in _KINDS
  }
  return types.SimpleNamespace(**functions)
