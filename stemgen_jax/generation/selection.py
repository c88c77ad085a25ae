"""Keep the takes that fit their context best."""

import dataclasses
import heapq
from collections.abc import Iterable, Iterator

from stemgen_jax import coherence, finite
from stemgen_jax.audio import Audio
from stemgen_jax.generation.take import Take

_DIGITS = 3


def best(takes: Iterable[Take], context: Audio, count: int) -> list[Take]:
  """Return the takes with the greatest coherence, the best one first.

  Args:
    takes: takes for one context; at most `count` of them are held in memory.
    context: the music of the takes.
    count: number of takes to keep.
  """
  score = coherence.scorer(context)

  def scored() -> Iterator[Take]:
    for take in takes:
      # None for silence, which JSON has no number for.
      found = finite.or_none(score(take.audio), _DIGITS)
      yield dataclasses.replace(take, coherence=found)

  # Of equal takes the earlier one is kept.
  return heapq.nlargest(count, scored(), key=_coherence)


def _coherence(take: Take) -> float:
  return float("-inf") if take.coherence is None else take.coherence
