"""What exported weights state about themselves, read without jax."""

from typing import Any

from stemgen_jax import categories, disk
from stemgen_jax.paths import exported


def read(weights: str, part: str = "config") -> dict[str, Any]:
  """Return the configuration, or the metadata, of exported weights.

  That of a run, or a corrupt one, is {}: it is checked at loading.

  Args:
    weights: name or path of the weights.
    part: "config" or "metadata".
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
