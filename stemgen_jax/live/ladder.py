"""Settings with fewer passes, for machines and moments that are slower."""

import dataclasses

from jaxtyping import Bool
from numpy import ndarray

from stemgen_jax import model, sampling
from stemgen_jax.codec import Codec
from stemgen_jax.generation import sampler
from stemgen_jax.sampling import cost

_SHARES = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1.0)  # of the steps of each level


def rungs(
  settings: sampling.Settings,
  config: model.ModelConfig,
  known_mask: Bool[ndarray, "t q"],
  codec: Codec,
  *,
  loop: bool,
) -> dict[int, sampling.Settings]:
  """Return settings by the passes of a chunk, ascending.

  Args:
    settings: those with the most passes, and a scale for every condition.
    config: shape of the model.
    known_mask: mask of the codes that a chunk keeps.
    codec: the codec.
    loop: the chunk is one period of a loop.
  """
  masked = sampler.masked_frames(known_mask, codec, config, loop)
  found = {}
  for share in _SHARES:
    steps = tuple(
      max(1, round(share * settings.steps_at(level)))
      for level in range(config.levels)
    )
    each = dataclasses.replace(settings, steps=steps)
    passes = sum(cost.passes(each, config, frames) for frames in masked)
    found[passes] = each
  return dict(sorted(found.items()))
