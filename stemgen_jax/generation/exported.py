"""What exported weights state about themselves, read without jax."""

import contextlib
import pathlib
from typing import Any

from stemgen_jax import categories, disk
from stemgen_jax.paths import is_run, weights_file


def read(weights: str, part: str = "config") -> dict[str, Any]:
  """Return the configuration, or the metadata, of exported weights.

  That of a run, or a corrupt one, is {}: it is checked at loading.

  Args:
    weights: name or path of the weights.
    part: "config" or "metadata".
  """
  path = weights_file(weights).with_suffix(".json")
  try:
    found = disk.read_json(path, "")[part]
  except (ValueError, KeyError, TypeError):
    return {}
  return found if isinstance(found, dict) else {}


def conditions(weights: str) -> list[str] | None:
  """Return the names of the conditions of weights; None if unknown.

  Args:
    weights: name or path of exported weights, or the folder of a run.
  """
  config = read(weights)
  if is_run(weights):
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
      config = disk.read_json(pathlib.Path(weights, "config.json"), "")["model"]
  found = config.get("conditions") if isinstance(config, dict) else None
  return found if isinstance(found, list) else None


def kinds(weights: str) -> list[str]:
  """Return the instruments of weights, or their roles, see `kind_field`."""
  known = conditions(weights) or ()
  if categories.kind_field(known) == "stem":
    return instruments(weights)
  return list(categories.kinds(known))


def instruments(weights: str) -> list[str]:
  """Return the categories that weights were trained on, or all if unknown."""
  found = read(weights, "metadata").get("categories")
  known = [
    x for x in categories.CATEGORIES if isinstance(found, list) and x in found
  ]
  return known or list(categories.CATEGORIES)
