"""What reading a damaged .npz can raise, as numpy has no error of its own."""

import zipfile
import zlib

DAMAGED = (
  EOFError,
  KeyError,
  TypeError,
  ValueError,
  zipfile.BadZipFile,
  zlib.error,
)
"""Of a file that is empty, cut off, changed, or has other arrays than asked."""
