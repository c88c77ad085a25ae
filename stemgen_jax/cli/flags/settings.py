"""Flags of the sampling settings: a preset, and settings that differ from it.

Every field of `Settings` is a flag --settings.NAME; `guidance` is one for each
source, and `steps` is also --steps.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from absl import flags

from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.sampling import settings as settings_lib
from stemgen_jax.sampling.settings import Settings

_SOURCES = ("context", "category", "genre", "role")
# "per level": one number, or one for each level.
_HELP = {
  "schedule": f"{', '.join(settings_lib.SCHEDULES)}: masking schedule",
  "rank": f"{', '.join(settings_lib.RANKS)}: ranking of codes",
  "w_confidence": "rank paper: weight of a code's probability",
  "w_causal": "rank paper: causal bias, weight of early frames",
  "w_random": "rank paper: weight of a uniform random number",
  "rank_temperature": "rank gumbel: noise at first, 0 to 1e6, per level",
  "guidance_form": f"{', '.join(settings_lib.GUIDANCE_FORMS)}: "
  "combination of guided predictions",
  "guidance.context": "scale of the context, per level",
  "guidance.category": "scale of the instrument, per level",
  "guidance.genre": "scale of --genre, per level",
  "guidance.role": "scale of --role, per level",
  "guidance_interval": "FROM,TO in 0,1: the steps that are guided",
  "guidance_ramp": "FIRST,LAST: strength of guidance over the steps",
  "temperature": "1e-6 to 1e6, 1 as learned, per level",
  "top_k": "number of likeliest codes to keep, 0 for all, per level",
  "top_p": "probability of codes to keep, 1 for all, per level",
}


def names() -> list[str]:
  """Return the settings that are flags, such as "guidance.context"."""
  found = []
  for field in dataclasses.fields(Settings):
    if field.name == "guidance":
      found += [f"guidance.{source}" for source in _SOURCES]
    elif field.name != "steps":  # a flag of its own, --steps
      found.append(field.name)
  return found


def define(values: flags.FlagValues, *, of_take: bool = False) -> None:
  """Define --preset, --steps and --settings.NAME.

  Args:
    values: flags of the command.
    of_take: the settings of a take are the default.
  """
  add = bound(values)
  default = f" Default: the {'take' if of_take else 'preset'}'s"
  add.enum(
    "preset",
    None if of_take else "default",
    list(settings_lib.PRESETS),
    "How to sample: 'fast' takes about a quarter of the time of 'default', "
    "'paper' up to 17 times as long."
    + (f"{default} settings." if of_take else ""),
  )
  add.list(
    "steps",
    None,
    "Steps per codec level, coarse to fine, as 16,8,8,4; fewer are faster. "
    f"Levels beyond the last number take the last one.{default}.",
  )
  for name in names():
    add.list(f"settings.{name}", None, _HELP[name])


def parse(values: flags.FlagValues, own: Settings | None = None) -> Settings:
  """Return the settings of the flags.

  Args:
    values: flags of the command.
    own: settings of the edited take, the default where --preset is not given.

  Raises:
    ValueError: a flag has an invalid value.
  """
  if own is not None and values["preset"].using_default_value:
    settings = own
  else:
    settings = settings_lib.preset(values.preset or "default")
  for name in ("steps", *names()):
    flag = name if name == "steps" else f"settings.{name}"
    given = values[flag].value
    if given is None:
      continue
    field, _, source = name.partition(".")
    value = _value(flag, given, getattr(settings, field))
    if source:  # One flag sets one entry of the mapping.
      value = {**settings.guidance, source: value}
    try:
      settings = dataclasses.replace(settings, **{field: value})
    except ValueError as error:
      # The flag replaces the name in "top_p 2.0: expected ...".
      expected = str(error).partition(": ")[2]
      raise ValueError(f"--{flag}={','.join(given)}: {expected}") from error
  return settings


def check_scales(values: flags.FlagValues, **conditions: str) -> None:
  """Raise ValueError for the scale of a condition that has no value."""
  for name, value in conditions.items():
    if values[f"settings.guidance.{name}"].value is not None and not value:
      raise ValueError(
        f"--settings.guidance.{name}: has no effect without a {name}; generate "
        f"with --{name}, or leave it out"
      )


def _value(flag: str, given: list[str], default: Any) -> Any:
  """Return the value of a flag: text, a number, or a tuple of numbers."""
  if isinstance(default, str):
    return ",".join(given)
  whole = flag in ("steps", "settings.top_k")
  kind: Callable = int if whole else float
  try:
    numbers = [kind(number) for number in given]
  except ValueError:
    numbers = []
  if not numbers:
    raise ValueError(
      f"--{flag}={','.join(given)}: expected {'whole ' if whole else ''}"
      "numbers, one or one per level"
    )
  per_level = flag == "steps" or "guidance." in flag
  return tuple(numbers) if per_level or len(numbers) > 1 else numbers[0]
