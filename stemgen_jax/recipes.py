"""Recipes: a folder of results states the configuration that made it.

And configurations in files: dataclasses as JSON and back.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import pathlib
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from stemgen_jax import disk

T = TypeVar("T")

_MOST_DIFFERENCES = 4
# Key of a description's own checksum.
_SEAL = "description_checksum"


def as_json(value: Any) -> Any:
  """Return a value, or the fields of a dataclass, as JSON returns it."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    value = dataclasses.asdict(value)
  return json.loads(json.dumps(value, default=str))


def sealed(description: Mapping[str, Any]) -> dict[str, Any]:
  """Return a description as JSON stores it, with its checksum."""
  content = as_json(disk.as_stored(dict(description)))
  return content | {_SEAL: digest(content)}


def check_seal(
  path: pathlib.Path, description: Mapping[str, Any], fix: str
) -> dict[str, Any]:
  """Return a description without its checksum, which is verified.

  One that was written before there were checksums is noted on stderr.

  Args:
    path: file of the description.
    description: its content.
    fix: advice of the error.

  Raises:
    ValueError: the checksum is wrong.
  """
  content = dict(description)
  stated = content.pop(_SEAL, None)
  if stated is None:
    _note(path)
  elif stated != digest(content):
    raise ValueError(
      f"{path} is corrupt (its content has another checksum): {fix}; if you "
      f"edited it, delete its {_SEAL}"
    )
  return content


def read_sealed(path: pathlib.Path, fix: str) -> dict[str, Any]:
  """Read a description that `sealed` made; arguments as in `check_seal`.

  Raises:
    ValueError: it is corrupt.
  """
  return check_seal(path, disk.read_json(path, fix), fix)


def write_sealed(
  path: pathlib.Path, data: bytes, description: Mapping[str, Any]
) -> str:
  """Write weights and, next to them, their sealed description.

  Args:
    path: file of the weights; the suffix of its description is .json.
    data: its content.
    description: values that JSON can represent; `checksum` is added.

  Returns:
    The checksum of the content.
  """
  checksum = hashlib.sha256(data).hexdigest()
  about = sealed({**description, "checksum": checksum})
  disk.write_described(path, data, about)
  return checksum


def digest(value: Any) -> str:
  """Return the sha256 of a value of JSON in hexadecimal digits."""
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


@functools.cache  # once
def _note(path: pathlib.Path) -> None:
  print(
    f"note: {path} has no checksum, as an earlier version wrote it: it could "
    "not be verified",
    file=sys.stderr,
  )


def build(cls: type[T], fields: Any) -> T:
  """Return a dataclass from its fields as JSON returns them.

  A field that is missing gets its default; lists become tuples, and objects
  dataclasses, where the annotations of `cls` say so.

  Raises:
    ValueError: a field is unknown, missing without a default, or not of its
      annotated type; or an error of `cls` itself.
  """
  known = {x.name: x for x in dataclasses.fields(typing.cast(Any, cls))}
  if not isinstance(fields, dict):
    raise ValueError(f"{cls.__name__} is {fields!r}: expected an object")
  if unknown := sorted(fields.keys() - known.keys()):
    raise ValueError(
      f"another version of stemgen-jax wrote it: this one has no "
      f"{', '.join(unknown)} in {cls.__name__}"
    )
  hints, values = typing.get_type_hints(cls), {}
  for name, field in known.items():
    if name in fields:
      try:
        values[name] = _typed(fields[name], hints[name])
      except TypeError as error:
        raise ValueError(f"{name} is {fields[name]!r}") from error
    elif field.default is field.default_factory is dataclasses.MISSING:
      raise ValueError(f"{name} is missing")
  return cls(**values)


def _typed(value: Any, hint: Any) -> Any:
  """Return a value from JSON with the type of an annotation, or TypeError."""
  kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
  if kind in (typing.Union, types.UnionType):
    for one in inner:
      with contextlib.suppress(TypeError):
        return _typed(value, one)
  elif isinstance(value, dict) and dataclasses.is_dataclass(kind):
    return build(typing.cast(type, kind), value)
  elif kind in (dict, Mapping) and isinstance(value, dict):
    return {name: _typed(entry, inner[1]) for name, entry in value.items()}
  elif kind in (tuple, list, Sequence) and isinstance(value, list | tuple):
    entries = [_typed(entry, inner[0]) for entry in value]
    return entries if kind is list else tuple(entries)
  # In Python true and false are integers, too.
  elif kind is Any or (isinstance(value, bool) and kind is bool):
    return value
  elif not isinstance(value, bool):
    # JSON has one type for numbers: 1.0 may be read as 1, and the reverse.
    if kind is int and isinstance(value, float) and value.is_integer():
      return int(value)
    expected: Any = (int, float) if kind is float else kind
    if isinstance(value, expected):
      return value
  raise TypeError(value)


def check_same(path: pathlib.Path, old: Any, new: Any) -> None:
  """Raise ValueError, with the fields that differ, if two recipes do.

  Args:
    path: file or folder of the results.
    old: recipe of the results, as JSON returns it.
    new: recipe of this call, likewise.
  """
  found = [
    f"{name} {_shown(ours)} there, {_shown(theirs)} now"
    for name, ours, theirs in _differences(old, new)
  ]
  if found:
    raise ValueError(
      f"{path} was made with other settings "
      f"({'; '.join(found[:_MOST_DIFFERENCES])}): give the same, another "
      "--out, or delete it"
    )


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
    check_same(path.parent, disk.read_json(path, fix), recipe)
    return
  if any(any(path.parent.glob(pattern)) for pattern in results):
    raise ValueError(
      f"{path}: not found, but {path.parent} has results, whose configuration "
      f"is unknown; {fix}"
    )
  disk.write_json(path, recipe)


def _shown(value: Any) -> str:
  return "not set" if value is None else repr(value)


def _differences(old: Any, new: Any, name: str = "") -> Iterator[tuple]:
  if isinstance(old, dict) and isinstance(new, dict):
    for key in sorted(old.keys() | new.keys()):
      inner = f"{name}.{key}" if name else key
      yield from _differences(old.get(key), new.get(key), inner)
  elif old != new:
    yield name, old, new
