"""PCM samples from and to pipes."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32

from stemgen_jax.live.stream import BLOCK

Block = Float32[np.ndarray, "n c"]
_MOST = 8.0  # 18 dB above full scale


def usable(samples: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
  """Return samples with 0 for those that are not finite, of usual size."""
  found = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
  return found.clip(-_MOST, _MOST)


def read(file: BinaryIO, channels: int, *, floats: bool) -> Iterator[Block]:
  """Yield blocks of interleaved little-endian samples until the file ends.

  An incomplete last sample is ignored. Samples that are not finite are 0, and
  none exceeds full scale by more than 18 dB.

  Args:
    file: the pipe; reading waits for it.
    channels: number of channels.
    floats: samples are 32-bit floats, full scale 1, otherwise 16-bit integers.
  """
  dtype = np.dtype("<f4" if floats else "<i2")
  size = channels * dtype.itemsize
  while data := file.read(BLOCK * size):
    whole = len(data) // size * size
    samples = np.frombuffer(data[:whole], dtype).reshape(-1, channels)
    block = samples.astype(np.float32) / (1.0 if floats else 32768.0)
    if len(block):
      yield usable(block)


def writer(file: Any, *, floats: bool) -> Callable[[Block], None]:
  """Return a function that writes blocks as `read` reads them.

  Args:
    file: a text stream over the pipe, whose buffer is written to.
    floats: see `read`; integers are clipped at full scale.
  """

  def write(block: Block) -> None:
    if floats:
      data = block.astype("<f4")
    else:
      data = np.round(block * 32767).clip(-32768, 32767).astype("<i2")
    file.buffer.write(data.tobytes())
    file.buffer.flush()

  return write
