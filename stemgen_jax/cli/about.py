"""What exported weights state about themselves, read without jax."""

import textwrap
from typing import Any

from stemgen_jax import categories, disk
from stemgen_jax.paths import exported


def read(weights: str, part: str = "config") -> dict[str, Any]:
  """Return the configuration, or the metadata, of exported weights.

  That of a run, or a corrupt one, is {}: it is checked at loading.
  """
  path = exported(weights).with_suffix(".json")
  try:
    found = disk.read_json(path, "")[part]
  except (ValueError, KeyError, TypeError):
    return {}
  return found if isinstance(found, dict) else {}


def instruments(weights: str) -> list[str]:
  """Return the categories that weights were trained on, or all if unknown."""
  found = read(weights, "metadata").get("categories")
  known = [
    x for x in categories.CATEGORIES if isinstance(found, list) and x in found
  ]
  return known or list(categories.CATEGORIES)


def instruments_help(weights: str) -> str:
  """Return the lists of instruments for the help of a command."""
  known = instruments(weights)
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
