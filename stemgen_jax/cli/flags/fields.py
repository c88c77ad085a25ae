"""Flags generated from the fields of a dataclass."""

import dataclasses
import types
import typing
from typing import Any, TypeVar

from absl import flags

from stemgen_jax.cli.flags.bound import bound

T = TypeVar("T")

_KINDS = {bool: "bool", float: "float", int: "integer", str: "string"}


def define(values: flags.FlagValues, cls: type[Any], **more: str) -> None:
  """Define a flag for every field.

  Args:
    values: flags of the command.
    cls: a dataclass whose fields have defaults and, in their metadata, `help`
      and for an enumeration `choices`.
    **more: text to append to the help of a field.
  """
  hints = typing.get_type_hints(cls)
  for field in dataclasses.fields(cls):
    text = " ".join([field.metadata["help"], more.get(field.name, "")]).strip()
    default: Any = field.default
    if choices := field.metadata.get("choices"):
      flags.DEFINE_enum(field.name, default, choices, text, flag_values=values)
      continue
    # `int | None` is an integer flag that may be left out.
    kinds = set(typing.get_args(hints[field.name])) or {hints[field.name]}
    (kind,) = kinds - {types.NoneType}
    add = bound(values)
    if kind is float and field.name.endswith("seconds"):
      add.time(field.name, default, text)
    else:
      getattr(add, _KINDS[kind])(field.name, default, text)


def parse(values: flags.FlagValues, cls: type[T]) -> T:
  """Return the dataclass with the values of its flags."""
  names = [field.name for field in dataclasses.fields(typing.cast(Any, cls))]
  return cls(**{name: values[name].value for name in names})
