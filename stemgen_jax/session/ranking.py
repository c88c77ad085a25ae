"""Rank takes by how well they fit their context."""

import math
from collections.abc import Iterable

from stemgen_jax import coherence, finite
from stemgen_jax.audio import Audio
from stemgen_jax.generation.take import Take
from stemgen_jax.session.song import Clip


def fit(take: Take, context: Audio) -> float | None:
  """Return the coherence of a take; None if it or its context is silent."""
  return finite.or_none(coherence.scorer(context)(take.audio), 2)


def ranked(clips: Iterable[Clip]) -> list[Clip]:
  """Return clips by their fit, the best first; unknown ones last."""

  def fit_of(clip: Clip) -> float:
    return -math.inf if clip.fit is None else clip.fit

  return sorted(clips, key=fit_of, reverse=True)
