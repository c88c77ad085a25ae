"""Settings by name, from a Python file, and its values of other flags."""

import dataclasses
import pathlib
import re
import runpy
from collections.abc import Mapping
from typing import Any

import numpy as np

from stemgen_jax import disk
from stemgen_jax.sampling import Settings

_OPTIONS = ("examples", "seconds", "seeds", "mirdd", "reference")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
  """Settings whose guidance scales are drawn for each example.

  Attributes:
    settings: the other settings.
    guidance: range of the scale of each source: uniform, above the first
      number and at most the second.
  """

  settings: Settings
  guidance: Mapping[str, tuple[float, float]]

  def at(self, place: int, seed: int) -> Settings:
    """Return the settings of the example at a place."""
    rng = np.random.default_rng([seed, place])
    scales = {
      name: high - (high - low) * float(rng.random())
      for name, (low, high) in sorted(self.guidance.items())
    }
    guidance = {**self.settings.guidance, **scales}
    return dataclasses.replace(self.settings, guidance=guidance)


Grid = Mapping[str, Settings | Drawn]


def load(
  path: str, only: str = "", steps: str = ""
) -> dict[str, Settings | Drawn]:
  """Run a Python file and return the result of its `get_settings()`.

  Args:
    path: --grid.
    only: --only, names of settings with commas; by default all.
    steps: --steps of all settings; by default their own.

  Raises:
    ValueError: the file has no such function, or its result is not a dict of
      settings by valid folder names; or a flag is invalid.
    FileNotFoundError: the file does not exist.
  """
  found = _call(path, "get_settings")
  if not isinstance(found, dict) or not found:
    raise ValueError(
      f"{path}: get_settings() returned {found!r}; expected a dict of Settings"
    )
  for name, settings in found.items():
    if not isinstance(settings, Settings | Drawn):
      raise ValueError(f"{path}: {name!r} is {settings!r}; expected Settings")
    if (
      not isinstance(name, str)
      or not re.fullmatch(r"\w[\w., +-]*", name)
      or name == "anchors"
    ):
      raise ValueError(
        f"{path}: {name!r} is not a valid name: expected letters, digits, "
        "spaces and . , + - _, with a letter or digit first, and not "
        "'anchors', the name of the reference systems"
      )
  names = [x.strip() for x in only.split(",")] if only else list(found)
  for name in names:
    if name not in found:
      raise ValueError(
        f"--only={only}: {name!r} is not in {path}; expected some of "
        f"{', '.join(found)}"
      )
  return {name: _with_steps(found[name], steps) for name in names}


def _with_steps(settings: Settings | Drawn, text: str) -> Settings | Drawn:
  if not text:
    return settings
  if isinstance(settings, Drawn):
    inner = _with_steps(settings.settings, text)
    return dataclasses.replace(settings, settings=inner)
  try:
    steps = tuple(map(int, text.split(",")))
    return dataclasses.replace(settings, steps=steps)
  except ValueError as error:
    raise ValueError(
      f"--steps={text}: expected whole numbers of at least 1, one per level, "
      "such as 32,16,8,8"
    ) from error


def options(path: str) -> dict[str, Any]:
  """Return the file's values of flags that are not given, if it has any.

  Raises:
    ValueError: its `get_options()` does not return a dict of such flags.
    FileNotFoundError: the file does not exist.
  """
  found = _call(path, "get_options", optional=True)
  if not isinstance(found, dict) or not found.keys() <= set(_OPTIONS):
    raise ValueError(
      f"{path}: get_options() returned {found!r}; expected a dict of some of "
      f"{', '.join(_OPTIONS)}"
    )
  return found


def _call(path: str, name: str, optional: bool = False) -> Any:
  """Return the result of a function in a file; {} for an optional one."""
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(
      f"--grid={path}: file not found{disk.similar(pathlib.Path(path))}"
    )
  try:
    function = runpy.run_path(path).get(name)
    found = function() if callable(function) else {}
  except Exception as error:  # the user's code may raise anything
    kind = type(error).__name__
    raise ValueError(f"--grid={path} fails: {kind}: {error}") from error
  if not callable(function) and not optional:
    raise ValueError(
      f"--grid={path} has no {name}(): expected decoding settings, such as "
      "configs/decoding.py"
    )
  return found
