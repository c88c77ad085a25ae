"""Reading an .npz that may be damaged, or none, as data."""

import os
import zipfile
import zlib
from typing import Any

import numpy as np

DAMAGED = (
  EOFError,
  KeyError,
  RuntimeError,
  TypeError,
  ValueError,
  zipfile.BadZipFile,
  zlib.error,
)
"""What `opened`, and reading arrays from it, can raise of a file that is empty,
cut off, changed, or has other arrays than asked: numpy has no error of its own.
"""


def opened(path: str | os.PathLike[str]) -> Any:
  """The arrays of an .npz by name, to be closed by `with`.

  Raises:
    One of `DAMAGED`, or an OSError.
  """
  # Of another file numpy says that it should be unpickled.
  if os.path.isfile(path) and not zipfile.is_zipfile(path):
    raise zipfile.BadZipFile("it is no .npz")
  return np.load(path, allow_pickle=False)
