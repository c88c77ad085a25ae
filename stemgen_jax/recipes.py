"""Recipes: a folder of results states the configuration that made it."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from stemgen_jax import disk

_MOST_DIFFERENCES = 4


def as_json(value: Any) -> Any:
  """Return a value, or the fields of a dataclass, as JSON returns it."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    value = dataclasses.asdict(value)
  return json.loads(json.dumps(value, default=str))


def tuples(value: Any) -> Any:
  """Return a value from JSON with tuples in place of lists, at every depth."""
  if isinstance(value, list):
    return tuple(tuples(entry) for entry in value)
  if isinstance(value, dict):
    return {name: tuples(entry) for name, entry in value.items()}
  return value


def differences(old: Any, new: Any) -> str:
  """Return the fields in which two recipes differ, "" if none.

  Args:
    old: recipe of the folder, as JSON returns it.
    new: recipe of this call, likewise.
  """
  found = [
    f"{name} {ours!r} there, {theirs!r} now"
    for name, ours, theirs in _differences(old, new)
  ]
  return "; ".join(found[:_MOST_DIFFERENCES])


def check_or_create(
  path: pathlib.Path, recipe: Mapping[str, Any], *results: str
) -> None:
  """Check that a folder belongs to a recipe; write the recipe if it is new.

  Args:
    path: JSON file with the recipe, in the folder.
    recipe: configuration that the results depend on.
    *results: glob patterns of results in the folder.

  Raises:
    ValueError: the folder belongs to another recipe, its recipe is corrupt, or
      it has results but no recipe.
  """
  recipe = as_json(recipe)
  fix = (
    f"give another --out, which gets a {path.name} of its own; if the results "
    f"in {path.parent} came from the same call, copy that file"
  )
  if path.is_file():
    try:
      existing = json.loads(path.read_text(encoding="utf-8"))
      if not isinstance(existing, dict):
        raise ValueError("not a JSON object")
    except ValueError as error:
      raise ValueError(f"{path} is corrupt ({error}): {fix}") from error
    if differing := differences(existing, recipe):
      raise ValueError(
        f"{path.parent} holds results of another configuration ({differing}): "
        "give another --out, or delete it"
      )
    return
  if any(any(path.parent.glob(pattern)) for pattern in results):
    raise ValueError(
      f"{path}: not found, but {path.parent} has results, whose configuration "
      f"is unknown; {fix}"
    )
  disk.write_json(path, recipe)


def _differences(old: Any, new: Any, name: str = "") -> Iterator[tuple]:
  if isinstance(old, dict) and isinstance(new, dict):
    for key in sorted(old.keys() | new.keys()):
      inner = f"{name}.{key}" if name else key
      yield from _differences(old.get(key), new.get(key), inner)
  elif old != new:
    yield name, old, new
