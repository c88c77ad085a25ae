"""Guidance: predictions under several subsets of the conditions, mixed.

Both forms are a weighted sum of log-probabilities whose weights add up to 1,
so they differ only in which branches are run and how they are weighed. As the
weights add up to 1, the branches' normalisers only shift all codes of a frame
alike, and logits can be mixed in place of log-probabilities.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from stemgen_jax.sampling import settings as settings_lib

CONTEXT = "context"


def branches(
  settings: settings_lib.Settings, conditions: tuple[str, ...]
) -> tuple[Bool[np.ndarray, "n k"], Float[np.ndarray, " n"]]:
  """The branches to run and their weights.

  With u the prediction from nothing, l_i the one from source i alone and
  l_1..i the one from the first i sources (conditions first, context last):

    paper (eq. 3)   u + sum_i s_i (l_i - u)
    nested          u + s_1 (l_1 - u) + s_2 (l_12 - l_1) + ...

  A branch whose weight is exactly 0 is left out: nested with all conditions at
  scale 1 runs two branches, l_conditions + s (l_all - l_conditions).

  Args:
    settings: `guidance` has one scale for each source.
    conditions: names of the model's conditions.

  Returns:
    keep: what a branch hears, columns as `conditions` and the context last.
    weights: float32, adding up to 1.

  Raises:
    ValueError: `settings.guidance` names other sources than the model has.
  """
  sources = (*conditions, CONTEXT)
  if set(settings.guidance) != set(sources):
    raise ValueError(
      f"guidance has scales for {', '.join(sorted(settings.guidance))}, but "
      f"these weights listen to {', '.join(sorted(sources))}: give exactly "
      "one scale for each"
    )
  scales = np.array([settings.guidance[name] for name in sources], np.float64)
  if settings.guidance_form == "paper":
    keep = np.vstack([np.zeros(len(sources)), np.eye(len(sources))])
    weights = np.concatenate([[1.0 - scales.sum()], scales])
  else:
    keep = np.tri(len(sources) + 1, len(sources), k=-1)
    weights = np.append(1.0, scales) - np.append(scales, 0.0)
  needed = weights != 0.0
  return keep[needed].astype(bool), weights[needed].astype(np.float32)


def mix(
  weights: Float[Array, " n"], logits: Float[Array, "nb t v"]
) -> Float[Array, "b t v"]:
  """Weighted sum over the branches, which lie one after the other in `nb`."""
  (n,) = weights.shape
  return jnp.einsum(
    "n,n...->...",
    weights,
    logits.reshape(n, -1, *logits.shape[1:]),
    precision="highest",
  )
