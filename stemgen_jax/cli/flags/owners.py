"""Flags that say something only where another flag has certain values."""

from collections.abc import Collection, Mapping

from absl import flags


def check(
  values: flags.FlagValues, flag: str, owners: Mapping[str, Collection[str]]
) -> None:
  """Refuses flags that are given in vain.

  Args:
    values: the parsed flags.
    flag: the one that the others depend on, such as "source".
    owners: by the name of a flag, the values of `flag` that it is for.

  Raises:
    ValueError: a flag is given that is for other values.
  """
  value = values[flag].value
  for name in sorted(owners):
    if values[name].present and value not in owners[name]:
      raise ValueError(
        f"--{name} is for --{flag}={' or '.join(owners[name])}, not {value}: "
        "leave it out"
      )
