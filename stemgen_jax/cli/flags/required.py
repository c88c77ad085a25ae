"""Flags without which a command cannot start."""

from typing import Any

from absl import flags


def required(values: flags.FlagValues, name: str, example: str) -> Any:
  """Return the value of a flag that has to be given.

  Args:
    values: flags of the command.
    name: name of the flag.
    example: a valid value, for the message.

  Raises:
    ValueError: the flag is missing or empty.
  """
  value = values[name].value
  if not value:
    raise ValueError(f"--{name} is missing; expected e.g. --{name}={example}")
  return value
