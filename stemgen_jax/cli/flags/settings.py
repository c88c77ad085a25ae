"""The flags that say how to sample: a preset, and what differs from it."""

import dataclasses
from collections.abc import Callable
from typing import Any

from absl import flags

from stemgen_jax.sampling import settings as settings_lib
from stemgen_jax.sampling.settings import Settings

# Each a flag, --settings.NAME; "per level": one number, or one for each level.
SETTINGS = {
  "schedule": f"{', '.join(settings_lib.SCHEDULES)}: how fast codes are fixed",
  "rank": f"{', '.join(settings_lib.RANKS)}: which stay",
  "w_confidence": "rank paper: weight of a code's probability",
  "w_causal": "rank paper: weight of being early",
  "w_random": "rank paper: weight of chance",
  "rank_temperature": "rank gumbel: noise at first, 0 to 1e6, per level",
  "guidance_form": f"{', '.join(settings_lib.GUIDANCE_FORMS)}: how scales add",
  "guidance.context": "scale of the music that is heard, per level",
  "guidance.category": "scale of the instrument, per level",
  "guidance.genre": "scale of --genre, per level",
  "guidance.role": "scale of --role, per level",
  "guidance_interval": "FROM,TO in 0,1: the steps that are guided",
  "guidance_ramp": "FIRST,LAST: strength of guidance over the steps",
  "temperature": "1e-6 to 1e6, 1 as learned, per level",
  "top_k": "only so many likeliest codes, 0 for all, per level",
  "top_p": "only so likely codes, up to 1 for all, per level",
}
_PAIRS = ("guidance_interval", "guidance_ramp")


def define(values: flags.FlagValues, *, of_take: bool) -> None:
  """Defines --preset, --steps and --settings.NAME.

  Args:
    values: of the app.
    of_take: the app changes a take, whose settings are the default.
  """
  default = (
    " Default: the take's settings." if of_take else " Default: the preset's."
  )
  flags.DEFINE_enum(
    "preset",
    None if of_take else "default",
    list(settings_lib.PRESETS),
    "How to sample: for each window that the model hears, 'fast' takes 12 "
    "passes of it, 'default' 44, 'paper' the paper's 768, with a codec of four "
    "levels." + (default if of_take else ""),
    flag_values=values,
  )
  flags.DEFINE_list(
    "steps",
    None,
    "Steps per codec level, coarse to fine, as 16,8,8,4; fewer are faster. "
    "Levels beyond the last number take the last one." + default,
    flag_values=values,
  )
  for name, text in SETTINGS.items():
    flags.DEFINE_list(f"settings.{name}", None, text, flag_values=values)


def parse(values: flags.FlagValues, own: Settings | None = None) -> Settings:
  """The settings that the flags ask for.

  Args:
    values: of the app.
    own: of the take that is changed, where --preset is not given.

  Raises:
    ValueError: a flag is wrong.
  """
  base = settings_lib.preset(values.preset) if values.preset else own
  base = base or settings_lib.preset("default")
  changed: dict[str, Any] = {}
  if values.steps is not None:
    changed["steps"] = _numbers("steps", values.steps, int)
    if min(changed["steps"], default=0) < 1:
      raise ValueError(
        f"--steps={','.join(values.steps)}: expected whole numbers of at "
        "least 1, one per level, as 16,8,8,4"
      )
  for name in SETTINGS:
    flag, given = f"settings.{name}", values[f"settings.{name}"].value
    if given is None:
      continue
    field, _, source = name.partition(".")
    default = getattr(base, field)
    if source:
      scales = changed.setdefault("guidance", dict(base.guidance))
      scales[source] = _numbers(flag, given, float)
    elif isinstance(default, str):
      changed[name] = ",".join(given)
    else:
      numbers = _numbers(flag, given, int if field == "top_k" else float)
      if field in _PAIRS and len(numbers) != 2:
        raise ValueError(
          f"--{flag}={','.join(given)}: expected two numbers, as 0,1"
        )
      alone = len(numbers) == 1
      changed[name] = numbers[0] if alone else numbers
  return dataclasses.replace(base, **changed)


def check_scales(values: flags.FlagValues, **given: str) -> None:
  """Raises ValueError for the scale of a condition that is not given."""
  for name, value in given.items():
    if values[f"settings.guidance.{name}"].value is not None and not value:
      raise ValueError(
        f"--settings.guidance.{name} is the scale of a {name}, and none is "
        f"given: generate with --{name}, or leave it out"
      )


def _numbers(flag: str, given: list[str], kind: Callable) -> tuple:
  try:
    numbers = tuple(kind(number) for number in given)
  except ValueError:
    numbers = ()
  if not numbers:
    whole = "whole numbers" if kind is int else "numbers"
    raise ValueError(
      f"--{flag}={','.join(given)}: expected {whole}, one or one per level"
    )
  return numbers
