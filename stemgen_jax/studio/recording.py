"""What sounded during a live run, in files without names."""

import errno
import pathlib
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from stemgen_jax.audio import LONGEST, Audio


class Recording:
  """Sounds of one length that grow block by block, up to ten minutes."""

  def __init__(
    self,
    folder: pathlib.Path,
    names: Sequence[str],
    sample_rate: int,
    channels: int,
  ):
    """Open a file for each sound.

    Args:
      folder: a folder of the disk that is used; it need not exist yet.
      names: names of the sounds.
      sample_rate: sample rate in Hz.
      channels: number of channels.
    """
    there = next(x for x in (folder, *folder.parents) if x.is_dir())
    # Without buffers, whose rest could neither be read nor closed on a full
    # disk.
    self._files: dict[str, Any] = {
      name: tempfile.TemporaryFile(dir=there, buffering=0)  # noqa: SIM115
      for name in names
    }
    self._rate, self._channels = sample_rate, channels
    self._most = round(LONGEST * sample_rate)
    self._lock = threading.Lock()
    self.samples = 0

  @property
  def full(self) -> bool:
    """Whether nothing more is recorded."""
    return self.samples == self._most

  def write(self, blocks: Mapping[str, Float32[np.ndarray, "n c"]]) -> None:
    """Append a block to each sound."""
    with self._lock:
      size = min(len(next(iter(blocks.values()))), self._most - self.samples)
      try:
        for name, block in blocks.items():
          data = block[:size].tobytes()
          if self._files[name].write(data) < len(data):
            raise OSError(errno.ENOSPC, "no space left")
      except OSError:  # the disk is full: the music continues
        self._most = self.samples
      else:
        self.samples += size

  def read(self, name: str, skip: int = 0) -> Audio:
    """Return a sound, from a sample on."""
    with self._lock:
      file = self._files[name]
      file.seek(0)
      data = file.read()
    size = 4 * self.samples * self._channels
    samples = np.frombuffer(data[:size], np.float32)
    return Audio(samples.reshape(-1, self._channels)[skip:], self._rate)

  def close(self) -> None:
    """Forget all."""
    with self._lock:
      for file in self._files.values():
        file.close()
