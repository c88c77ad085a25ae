"""Where the files of exported weights are, without what loads them."""

import pathlib

DEMO = pathlib.Path(__file__).parent / "assets" / "demo" / "model.safetensors"


def exported(name: str) -> pathlib.Path:
  """The .safetensors file of "demo", or of a path with or without the suffix.

  A folder's name may have a dot in it, as mine.v2: that is no suffix.
  """
  if name == "demo":
    return DEMO
  path = pathlib.Path(name)
  if path.suffix == ".safetensors":
    return path
  return path.parent / f"{path.name}.safetensors"  # "." has no name
