"""Flags that have an effect only with certain values of another flag."""

from collections.abc import Collection, Mapping

from absl import flags


def check(
  values: flags.FlagValues, flag: str, owners: Mapping[str, Collection[str]]
) -> None:
  """Refuse flags that would have no effect.

  Args:
    values: parsed flags.
    flag: name of the flag that the others depend on, such as "source".
    owners: name of a flag -> values of `flag` with which it has an effect.

  Raises:
    ValueError: a flag is given that would have no effect.
  """
  value = values[flag].value
  for name in sorted(owners):
    if values[name].present and value not in owners[name]:
      raise ValueError(
        f"--{name} is for --{flag}={' or '.join(owners[name])}, not {value}: "
        "leave it out"
      )
