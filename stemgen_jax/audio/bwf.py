"""The position of a file on the timeline of a session, in Broadcast Wave files.

The chunk `bext` is that of EBU Tech 3285; libsndfile's Python package neither
reads nor writes it.
"""

import io
import pathlib
from collections.abc import Iterator
from typing import BinaryIO

_CHUNKS = 64  # read at most
_REFERENCE = 338  # position of TimeReference in the chunk
_SIZE = 602  # of the chunk, without a coding history
MOST = 1 << 62


def time_reference(path: pathlib.Path) -> int:
  """Return the TimeReference in samples; 0 for files without one."""
  with open(path, "rb") as file:
    for name, size, begin in _chunks(file):
      if name == b"bext" and size >= _REFERENCE + 8:
        file.seek(begin + _REFERENCE)
        found = int.from_bytes(file.read(8), "little")
        return found if found < MOST else 0
  return 0


def with_time_reference(data: bytes, samples: int) -> bytes:
  """Insert a chunk with a TimeReference into a wav file without one."""
  name, size, begin = next(iter(_chunks(io.BytesIO(data))))
  assert name == b"fmt "
  chunk = bytes(_REFERENCE) + samples.to_bytes(8, "little")
  chunk = b"bext" + _SIZE.to_bytes(4, "little") + chunk.ljust(_SIZE, b"\0")
  # Before the sound, as some programs expect it.
  at = begin + size + size % 2
  length = (len(data) + len(chunk) - 8).to_bytes(4, "little")
  return b"".join((data[:4], length, data[8:at], chunk, data[at:]))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
  """Yield name, size and begin of the chunks of a RIFF file."""
  head = file.read(12)
  if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
    return
  position = file.tell()
  for _ in range(_CHUNKS):
    file.seek(position)
    name, size = file.read(4), int.from_bytes(file.read(4), "little")
    if len(name) < 4:
      return
    begin = file.tell()
    yield name, size, begin
    position = begin + size + size % 2  # chunks have even lengths
