"""Batches that are copied to the devices ahead of their steps."""

import collections
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from stemgen_jax.model import sharding

NumpyBatch = dict[str, np.ndarray]


@runtime_checkable
class Batches(Protocol):
  """An endless iterator with a position, as Grain's are."""

  def __next__(self) -> NumpyBatch:
    """Return the next batch."""
    ...

  def get_state(self) -> Any:
    """Return the position, as JSON can represent it."""
    ...

  def set_state(self, state: Any) -> None:
    """Restore a position that `get_state` returned."""
    ...


class OneBatch:
  """The next batch of an iterator, repeated endlessly.

  Args:
    batches: iterator; its recorded position stays before that batch.
  """

  def __init__(self, batches: Batches):
    self._batches, self._state = batches, batches.get_state()
    self._batch: NumpyBatch | None = None

  def __next__(self) -> NumpyBatch:
    if self._batch is None:
      self._batch = next(self._batches)
    return self._batch

  def get_state(self) -> Any:
    """Return the position before the batch."""
    return self._state

  def set_state(self, state: Any) -> None:
    """Repeat the batch that follows another position."""
    self._batches.set_state(state)
    self._state, self._batch = state, None


class OnDevice:
  """The batches of an iterator on the mesh, `ahead` of their steps.

  Copies do not block, so they overlap with earlier steps. Only the inputs of
  the model are copied: integers and contexts.

  Args:
    batches: this process's share of the global batches.
    ahead: number of batches in flight beyond the one returned.
  """

  def __init__(self, batches: Batches, ahead: int = 2):
    self._batches, self._ahead = batches, ahead
    # Each batch with the position after it: a run resumes after the last batch
    # returned, not after those read ahead.
    self._queue: collections.deque[tuple[dict[str, jax.Array], Any]] = (
      collections.deque()
    )
    self._state = batches.get_state()

  def __next__(self) -> dict[str, jax.Array]:
    # One more than `ahead`: the batch to return is in the queue as well.
    while len(self._queue) <= self._ahead:
      batch = place(next(self._batches))
      self._queue.append((batch, self._batches.get_state()))
    batch, self._state = self._queue.popleft()
    return batch

  def get_state(self) -> Any:
    """Return the position after the last batch returned."""
    return self._state


def place(batch: NumpyBatch) -> dict[str, jax.Array]:
  """Copy integers and contexts of a batch to the devices of the mesh."""
  return sharding.place_batch(
    {
      name: x
      for name, x in batch.items()
      if x.dtype.kind in "iu" or name in ("context", "other_context")
    }
  )
