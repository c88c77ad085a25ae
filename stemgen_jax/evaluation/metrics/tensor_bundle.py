"""Read the tensors of a TensorFlow 1 checkpoint without TensorFlow.

A checkpoint is a file of raw tensors and an index: a table of sorted blocks, in
the format of LevelDB, that maps names to entries in protocol buffers.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

_FLOAT = 1  # number of the type float32
_FOOTER = 48  # bytes
_MAGIC = 0xDB4775248B80FB57


def read(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """Return the float32 tensors of `.index` and `.data-00000-of-00001`.

  Raises:
    ValueError: the index is corrupt or compressed.
  """
  path = folder / ".index"
  table = path.read_bytes()
  footer = table[-_FOOTER:]
  if int.from_bytes(footer[-8:], "little") != _MAGIC:
    raise ValueError(
      f"{path}: not an index of a checkpoint: reinstall its package"
    )
  (_, _, *handle), _ = _varints(footer, 4)
  data = (folder / ".data-00000-of-00001").read_bytes()
  found = {}
  for _, place in _block(table, *handle):
    for name, value in _block(table, *_varints(place, 2)[0]):
      entry = _message(value)
      if not name or entry.get(1) != _FLOAT:  # the header, or a counter
        continue
      shape = [_message(dim).get(1, 0) for dim in _repeated(entry.get(2, b""))]
      offset, size = entry.get(4, 0), entry[5]
      values = np.frombuffer(data[offset : offset + size], "<f4")
      found[name.decode()] = values.reshape(shape)
  return found


def _block(
  table: bytes, offset: int, size: int
) -> Iterator[tuple[bytes, bytes]]:
  """Yield keys and values; a key shares a prefix with the one before it."""
  if table[offset + size]:  # the byte after a block is its compression
    raise ValueError("compressed index of a checkpoint: reinstall its package")
  block = table[offset : offset + size]
  restarts = int.from_bytes(block[-4:], "little")
  place, end, key = 0, size - 4 * (restarts + 1), b""
  while place < end:
    (shared, added, length), place = _varints(block, 3, place)
    key = key[:shared] + block[place : place + added]
    place += added
    yield key, block[place : place + length]
    place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
  """Return a number of seven bits per byte, and the place after it."""
  number = shift = 0
  while True:
    byte = data[place]
    place += 1
    number |= (byte & 127) << shift
    shift += 7
    if byte < 128:
      return number, place


def _varints(data: bytes, count: int, place: int = 0) -> tuple[list[int], int]:
  """Return several numbers, and the place after them."""
  found = []
  for _ in range(count):
    number, place = _varint(data, place)
    found.append(number)
  return found, place


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
  """Yield numbers and values of the fields of a protocol buffer."""
  place = 0
  while place < len(data):
    key, place = _varint(data, place)
    kind = key & 7
    if kind == 0:
      value, place = _varint(data, place)
    elif kind == 2:
      size, place = _varint(data, place)
      value, place = data[place : place + size], place + size
    else:  # 5: 32 bits, a checksum
      value, place = data[place : place + 4], place + 4
    yield key >> 3, value


def _message(data: bytes) -> dict[int, Any]:
  return dict(_fields(data))


def _repeated(data: bytes) -> list[bytes]:
  """Return the dimensions of a shape."""
  return [value for number, value in _fields(data) if number == 2]
