"""Settings by name, from a Python file."""

import pathlib
import re
import runpy

from stemgen_jax.sampling import Settings


def load(path: str) -> dict[str, Settings]:
  """Run a Python file and return the result of its `get_settings()`.

  Raises:
    ValueError: the file has no such function, or its result is not a dict of
      settings by valid folder names.
    FileNotFoundError: the file does not exist.
  """
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(f"--grid={path}: file not found")
  try:
    get_settings = runpy.run_path(path).get("get_settings")
    found = get_settings() if callable(get_settings) else None
  except Exception as error:  # the user's code may raise anything
    kind = type(error).__name__
    raise ValueError(f"--grid={path} fails: {kind}: {error}") from error
  if not callable(get_settings):
    raise ValueError(f"{path}: get_settings() not found")
  if not isinstance(found, dict) or not found:
    raise ValueError(
      f"{path}: get_settings() returned {found!r}; expected a dict of Settings"
    )
  for name, settings in found.items():
    if not isinstance(settings, Settings):
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
  return found
