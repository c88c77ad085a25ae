"""Flags that have an effect only with certain values of another flag."""

from collections.abc import Collection, Mapping

from absl import flags


def check(
  values: flags.FlagValues, flag: str, owned: Mapping[str, Collection[str]]
) -> None:
  """Refuse flags that would have no effect.

  Args:
    values: parsed flags.
    flag: name of the flag that the others depend on, such as "source".
    owned: value of `flag` -> names of the flags that have an effect with it.

  Raises:
    ValueError: a flag is given that would have no effect.
  """
  value = values[flag].value
  for name in sorted(set().union(*owned.values())):
    owners = [owner for owner, names in owned.items() if name in names]
    if values[name].present and value not in owners:
      raise ValueError(
        f"--{name} is for --{flag}={' or '.join(owners)}, not {value}: leave "
        "it out"
      )
