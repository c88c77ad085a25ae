"""A run's figures, pictures and sounds as TensorBoard reads them.

TensorBoard itself need not be there to write them, and no account anywhere:

  pip install -e '.[tensorboard]' -c launch/constraints.txt
  tensorboard --logdir=runs
"""

import importlib.util
import os
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from stemgen_jax.training.metrics import flatten


def available() -> bool:
  """Whether tensorboardX is installed."""
  return importlib.util.find_spec("tensorboardX") is not None


class TensorBoard:
  """Event files in a folder.

  Args:
    folder: Of the event files.
    start: Step that the run goes on from; what an earlier call has written of
      later steps is no longer shown.
  """

  def __init__(self, folder: str | os.PathLike, start: int):
    import tensorboardX

    self._writer: Any = tensorboardX.SummaryWriter(
      os.fspath(folder), purge_step=start + 1
    )

  def figures(self, step: int, kind: str, figures: dict[str, Any]) -> None:
    """Writes the numbers of a log's line as scalars KIND/NAME."""
    for name, value in flatten(figures).items():
      self._writer.add_scalar(f"{kind}/{name}", value, step)

  def sound(
    self,
    step: int,
    name: str,
    samples: Float[np.ndarray, "samples channels"],
    sample_rate: int,
    picture: UInt8[np.ndarray, "rows columns 3"],
  ) -> None:
    """Writes a sound in -1..1 and its spectrogram."""
    self._writer.add_audio(name, samples.clip(-1, 1), step, sample_rate)
    self._writer.add_image(name, picture, step, dataformats="HWC")

  def flush(self) -> None:
    """Writes what is waiting."""
    self._writer.flush()

  def close(self) -> None:
    """Writes what is waiting and ends."""
    self._writer.close()
