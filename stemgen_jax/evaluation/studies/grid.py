"""Settings by name, from a file of the user's."""

import pathlib
import re
import runpy

from stemgen_jax.sampling import Settings


def load(path: str | None) -> dict[str, Settings]:
  """What `get_settings()` of a Python file returns.

  Raises:
    ValueError: no file is named, it has no such function, or that returns
      anything else than settings by names that a folder can have.
    FileNotFoundError: there is no such file.
  """
  if not path:
    raise ValueError("--grid is missing: name a file, as configs/decoding.py")
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(f"--grid={path}: there is no such file")
  try:
    get_settings = runpy.run_path(path).get("get_settings")
    found = get_settings() if callable(get_settings) else None
  except Exception as error:  # whatever the user's code may raise
    kind = type(error).__name__
    raise ValueError(f"--grid={path} does not run: {kind}: {error}") from error
  if not callable(get_settings):
    raise ValueError(f"{path} has no get_settings()")
  if not isinstance(found, dict) or not found:
    raise ValueError(f"{path}: get_settings() returns no dict of settings")
  for name, settings in found.items():
    if not isinstance(settings, Settings):
      raise ValueError(f"{path}: {name!r} is no Settings")
    if (
      not isinstance(name, str)
      or not re.fullmatch(r"\w[\w., +-]*", name)
      or name == "anchors"
    ):
      raise ValueError(
        f"{path}: {name!r} is no name of a setting: expected text that begins "
        "with a letter or digit, then also spaces and . , + - _ (and not "
        "anchors, which are the real stems)"
      )
  return found
