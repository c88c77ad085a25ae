"""Files with the stems that were generated for an example.

Samples as float32, so that they can be measured again, without the model, and
with the same figures: about 2.5 MB for 10 s at 32 kHz.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from stemgen_jax import disk
from stemgen_jax.audio import Audio


def path_of(folder: pathlib.Path, place: int) -> pathlib.Path:
  """Return the file of an example."""
  return folder / f"{place:05d}.npz"


def save(
  path: pathlib.Path, stems: Mapping[str, Audio], seconds: float
) -> None:
  """Write stems by system; the file is complete or absent.

  Args:
    path: path of the file.
    stems: stems of one sample rate.
    seconds: seconds of work.
  """
  (rate,) = {stem.sample_rate for stem in stems.values()}
  arrays: dict[str, Any] = {name: stem.samples for name, stem in stems.items()}
  with disk.replacing(path) as file:
    np.savez(
      file, sample_rate=np.array(rate), seconds=np.array(seconds), **arrays
    )


def load(path: pathlib.Path) -> tuple[dict[str, Audio], float]:
  """Read what `save` wrote: stems by system, and seconds of work.

  Raises:
    OSError, ValueError: the file is missing or corrupt.
  """
  fix = "delete it and evaluate again, which regenerates it"
  arrays = disk.read_npz(path, fix)
  try:
    rate, seconds = int(arrays.pop("sample_rate")), float(arrays.pop("seconds"))
    if any(x.dtype != np.float32 or x.ndim != 2 for x in arrays.values()):
      raise ValueError("stems are not float32 [samples, channels]")
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(f"{path} is corrupt ({error}): {fix}") from error
  return {
    name: Audio(samples, rate) for name, samples in arrays.items()
  }, seconds


def is_whole(path: pathlib.Path) -> bool:
  """Return whether a file exists and can be read."""
  try:
    load(path)
  except (OSError, ValueError):
    return False
  return True
