"""Functions that define the flags of one command."""

import functools
import types
from typing import Any

from absl import flags

from stemgen_jax.cli.flags import parsers

_KINDS = ("bool", "enum", "float", "integer", "list", "multi_string", "string")
_AS_TEXT = flags.ArgumentSerializer()


def bound(values: flags.FlagValues) -> Any:
  """Return absl's DEFINE functions by kind, for the flags of a command."""
  functions = {
    kind: functools.partial(
      getattr(flags, f"DEFINE_{kind}"), flag_values=values
    )
    for kind in _KINDS
  }
  for kind, parser in parsers.KINDS.items():
    functions[kind] = functools.partial(
      flags.DEFINE, parser, flag_values=values, serializer=_AS_TEXT
    )
  functions["alias"] = functools.partial(flags.DEFINE_alias, flag_values=values)
  return types.SimpleNamespace(**functions)
