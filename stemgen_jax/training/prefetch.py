"""Batches that are on the devices before they are asked for."""

import collections
from typing import Any, Protocol

import jax
import numpy as np

from stemgen_jax.model import sharding

NumpyBatch = dict[str, np.ndarray]


class Batches(Protocol):
  """An endless iterator whose position can be kept, as Grain's are."""

  def __next__(self) -> NumpyBatch:
    """The next batch."""
    ...

  def get_state(self) -> Any:
    """Where it is, as JSON can say it."""
    ...

  def set_state(self, state: Any) -> None:
    """Puts it where `get_state` was called."""
    ...


class OneBatch:
  """The first batch that is still to come, for ever.

  Args:
    batches: Whose position stays before that batch.
  """

  def __init__(self, batches: Batches):
    self._batches, self._state = batches, batches.get_state()
    self._batch: NumpyBatch | None = None

  def __next__(self) -> NumpyBatch:
    if self._batch is None:
      self._batch = next(self._batches)
    return self._batch

  def get_state(self) -> Any:
    """The position before the batch."""
    return self._state

  def set_state(self, state: Any) -> None:
    """Takes the batch after another position."""
    self._batches.set_state(state)
    self._state, self._batch = state, None


class OnDevice:
  """The same batches, `ahead` of them on the mesh already.

  Copying to a device does not wait, so it happens while earlier steps run.
  What is copied are the model's inputs: integer arrays.

  Args:
    batches: This process's share of the global batches.
    ahead: Batches under way beyond the one handed out.
  """

  def __init__(self, batches: Batches, ahead: int = 2):
    self._batches, self._ahead = batches, ahead
    self._queue: collections.deque[tuple[dict[str, jax.Array], Any]] = (
      collections.deque()
    )
    self._state = batches.get_state()

  def __next__(self) -> dict[str, jax.Array]:
    while len(self._queue) <= self._ahead:
      batch = place(next(self._batches))
      self._queue.append((batch, self._batches.get_state()))
    batch, self._state = self._queue.popleft()
    return batch

  def get_state(self) -> Any:
    """The position after the last batch that was handed out."""
    return self._state


def place(batch: NumpyBatch) -> dict[str, jax.Array]:
  """Puts the integers of a batch on the devices of the set mesh."""
  return sharding.place_batch(
    {name: x for name, x in batch.items() if x.dtype.kind in "iu"}
  )
