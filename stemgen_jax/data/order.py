"""An endless, shuffled order of the records of several data sets."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

# Positions after which the pattern of data sets repeats.
_PERIOD = 10_000


class Order:
  """The record at each position of a run, a function of the seed alone.

  Data sets alternate so that any few consecutive positions have each as often
  as its weight asks. A data set yields all of its records before it repeats
  them in another order.

  Args:
    sizes: number of records of each data set.
    weights: weights of the data sets, above 0; only their ratios matter.
    seed: seed of the shuffling.

  Raises:
    ValueError: a weight is so small that its data set would never occur.
  """

  def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: int):
    self._sizes, self._seed = sizes, seed
    shares = np.array(weights) / np.sum(weights)
    # Occurrences of each data set before each place of a period, [place, set].
    self._before = np.zeros((_PERIOD + 1, len(sizes)), np.int64)
    self._parts = np.zeros(_PERIOD, np.int64)
    for place in range(_PERIOD):
      owed = shares * (place + 1) - self._before[place]
      self._parts[place] = owed.argmax()
      self._before[place + 1] = self._before[place]
      self._before[place + 1, self._parts[place]] += 1
    if not self._before[-1].all():
      raise ValueError(
        f"weights {tuple(weights)}: one is less than a {_PERIOD}th of all, "
        "its data set would never be seen; raise it or leave it out"
      )
    # Two epochs of each: threads that read ahead are in the next one already.
    self._shuffled = functools.lru_cache(2 * len(sizes))(self._shuffle)

  def part(self, position: int) -> int:
    """Return the index of a data set."""
    return int(self._parts[position % _PERIOD])

  def __getitem__(self, position: int) -> tuple[int, int]:
    """Return the index of a data set, and the index of a record in it."""
    period, place = divmod(position, _PERIOD)
    part = int(self._parts[place])
    each = self._before[-1, part], self._before[place, part]
    epoch, number = divmod(period * each[0] + each[1], self._sizes[part])
    return part, int(self._shuffled(part, int(epoch))[number])

  def _shuffle(self, part: int, epoch: int) -> Int[np.ndarray, " records"]:
    rng = np.random.default_rng((self._seed, part, epoch))
    return rng.permutation(self._sizes[part])


class BalancedOrder:
  """Random draws with categories in proportion to a power of their number.

  Data sets alternate as in `Order`; within one, a category is drawn, then one
  of its records, each as a function of the seed and the position alone.

  Args:
    categories: category ids of the records of each data set.
    weights: weights of the data sets, see `Order`.
    seed: seed of all draws.
    power: 1 for the frequencies of the data, 0.5 for their square roots, 0 for
      categories equally often.
  """

  def __init__(
    self,
    categories: Sequence[Int[np.ndarray, " records"]],
    weights: Sequence[float],
    seed: int,
    power: float,
  ):
    self._order = Order([len(ids) for ids in categories], weights, seed)
    self._seed = seed
    self._members, self._edges = [], []
    for ids in categories:
      members = [np.flatnonzero(ids == x) for x in np.unique(ids)]
      shares = np.array([len(x) for x in members]) ** float(power)
      self._members.append(members)
      self._edges.append(np.cumsum(shares / shares.sum()))

  def __getitem__(self, position: int) -> tuple[int, int]:
    """Return the index of a data set, and the index of a record in it."""
    part = self._order.part(position)
    category, u = np.random.default_rng((self._seed, 1, position)).random(2)
    # The last edge may be rounded to less than 1.
    edges = self._edges[part][:-1]
    number = int(np.searchsorted(edges, category, "right"))
    members = self._members[part][number]
    return part, int(members[int(u * len(members))])
