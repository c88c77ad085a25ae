"""The latest seconds of a stream, in memory of a fixed size."""

import numpy as np
from jaxtyping import Float32


class Ring:
  """A ring buffer that is addressed by samples of the stream.

  One thread writes, others read. A read never waits.

  Args:
    samples: number of samples that it holds.
    channels: number of channels.
    start: sample of the stream that is written first; those before 0 are not
      kept.
  """

  def __init__(self, samples: int, channels: int, start: int = 0):
    self._data = np.zeros((samples, channels), np.float32)
    self.end = start
    """Sample of the stream after the last one written."""

  def write(self, block: Float32[np.ndarray, "n c"]) -> None:
    """Append a block, over the oldest samples."""
    size, end = len(self._data), self.end + len(block)
    block = block[-size:]
    first = (end - len(block)) % size
    head = min(len(block), size - first)
    self._data[first : first + head] = block[:head]
    self._data[: len(block) - head] = block[head:]
    # After the data: a reader must not see the new end before them.
    self.end = end

  def read(self, start: int, stop: int) -> Float32[np.ndarray, "n c"]:
    """Return samples `start` to `stop`; 0 for those that it does not hold."""
    size, channels = self._data.shape
    found = np.zeros((stop - start, channels), np.float32)
    end = self.end
    first, last = max(start, end - size, 0), min(stop, end)
    if first < last:
      places = np.arange(first, last) % size
      found[first - start : last - start] = self._data[places]
      # Samples that were overwritten during the copy.
      lost = min(max(self.end - size - first, 0), last - first)
      found[first - start : first - start + lost] = 0
    return found
