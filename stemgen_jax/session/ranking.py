"""Rank takes by how well they fit their context."""

import math
from collections.abc import Callable, Iterable

from stemgen_jax import coherence, finite
from stemgen_jax.audio import Audio
from stemgen_jax.generation.take import Take
from stemgen_jax.session.song import Clip


def fit_to(context: Audio) -> Callable[[Take], float | None]:
  """Return a function of takes: how well they fit a context.

  That is their coherence, or None if the take or its context is silent.
  """
  score = coherence.scorer(context)
  return lambda take: finite.or_none(score(take.audio), 2)


def ranked(clips: Iterable[Clip]) -> list[Clip]:
  """Return clips by their fit, the best first; unknown ones last."""

  def fit_of(clip: Clip) -> float:
    return -math.inf if clip.fit is None else clip.fit

  return sorted(clips, key=fit_of, reverse=True)
