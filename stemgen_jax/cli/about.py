"""The help about the instruments of weights."""

import textwrap

from stemgen_jax import categories
from stemgen_jax.generation import exported


def instruments_help(weights: str) -> str:
  """Return the lists of instruments for the help of a command."""
  conditions = exported.conditions(weights) or ()
  if (field := categories.kind_field(conditions)) != "stem":
    listed = _wrapped(list(categories.kinds(conditions)))
    return "\n".join([f"--{field} of --weights={weights}:", *listed])
  known = exported.instruments(weights)
  others = [x for x in categories.CATEGORIES if x not in known]
  lines = [f"instruments of --weights={weights}:", *_wrapped(known)]
  if others:
    lines += ["others, on which these were not trained (expect poor results):"]
    lines += _wrapped(others)
  lines += ['Other names are understood, as "e-piano" and "sax".']
  return "\n".join(lines)


def _wrapped(names: list[str]) -> list[str]:
  indent = "  "
  return textwrap.wrap(
    ", ".join(names), 78, initial_indent=indent, subsequent_indent=indent
  )
