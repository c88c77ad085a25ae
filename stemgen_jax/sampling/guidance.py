"""Guidance: mix predictions under several subsets of the conditions.

Both forms are a weighted sum of log-probabilities whose weights add up to 1,
so they differ only in their branches and weights. As the weights add up to 1,
the normalizers of the branches shift all codes of a frame by one amount, and
logits can be mixed instead of log-probabilities.
"""

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Num

from stemgen_jax.sampling import settings as settings_lib

CONTEXT = "context"


class Branches(NamedTuple):
  """The n predictions that one level needs.

  Attributes:
    keep: conditions that each branch keeps; the k columns are the model's
      conditions and, last, the context.
    weights: weights of a guided step; they add up to 1.
    plain: weights of an unguided step: 1 for the branch with all conditions.
      All 0 where no step mixes the two.
  """

  keep: Bool[np.ndarray, "n k"]
  weights: Float[np.ndarray, " n"]
  plain: Float[np.ndarray, " n"]


def branches(
  settings: settings_lib.Settings, conditions: tuple[str, ...], level: int = 0
) -> Branches:
  """Return the branches of a level and their weights.

  With u the prediction without conditions, l_i the one from source i alone and
  l_1..i the one from the first i sources (conditions first, context last):

    paper (eq. 3)   u + sum_i s_i (l_i - u)
    nested          u + s_1 (l_1 - u) + s_2 (l_12 - l_1) + ...

  Branches of weight 0 are left out: nested with all conditions at scale 1 has
  two branches, l_conditions + s (l_all - l_conditions), or one if s is 1 too.

  Args:
    settings: settings whose `guidance` has one scale for each source.
    conditions: names of the model's conditions.
    level: codec level, 0 is the coarsest.

  Raises:
    ValueError: `settings.guidance` names other sources than the model has.
  """
  sources = (*conditions, CONTEXT)
  if set(settings.guidance) != set(sources):
    raise ValueError(
      f"guidance: scales for {', '.join(sorted(settings.guidance))}; expected "
      f"one for each source of these weights, {', '.join(sorted(sources))}"
    )
  scales = np.array(
    [settings_lib.at_level(settings.guidance[name], level) for name in sources],
    np.float64,
  )
  if settings.guidance_form == "paper":
    # Rows: no source, then each source alone. [k + 1, k]
    keep = np.vstack([np.zeros(len(sources)), np.eye(len(sources))])
    weights = np.concatenate([[1.0 - scales.sum()], scales])
  else:
    # Row i has the first i sources. The sum telescopes: l_1..i has the weight
    # s_i - s_i+1.
    keep = np.tri(len(sources) + 1, len(sources), k=-1)
    weights = np.append(1.0, scales) - np.append(scales, 0.0)
  if tuple(settings.guidance_ramp) == (1.0, 1.0):
    needed, plain = weights != 0.0, np.zeros(len(weights))
  else:
    # A ramp mixes in the plain prediction: the branch with all conditions.
    if not keep.all(axis=1).any():
      keep = np.vstack([keep, np.ones(len(sources))])
      weights = np.append(weights, 0.0)
    plain = keep.all(axis=1).astype(float)
    needed = (weights != 0.0) | (plain != 0.0)
  return Branches(
    keep[needed].astype(bool),
    weights[needed].astype(np.float32),
    plain[needed].astype(np.float32),
  )


def strength(
  step: Num[ArrayLike, "*s"],
  steps: Num[ArrayLike, ""],
  interval: Float[Array | np.ndarray, " 2"],
  ramp: Float[Array | np.ndarray, " 2"],
) -> Float[Array | np.ndarray, "*s"]:
  """Return the share of the guidance at a step; 0 is the plain prediction.

  NumPy arrays are computed on the host: JAX would compile every operation.

  Args:
    step: number within the level, from 0.
    steps: steps of the level.
    interval: see `Settings.guidance_interval`; the middle of a step counts.
    ramp: see `Settings.guidance_ramp`.
  """
  xp = jnp if isinstance(step, jax.Array) else np
  step = xp.asarray(step, np.float32)
  middle = (step + 0.5) / steps
  inside = (interval[0] <= middle) & (middle <= interval[1])
  place = step / xp.maximum(steps - 1, 1)
  return xp.where(inside, ramp[0] + (ramp[1] - ramp[0]) * place, 0.0)


def has_unguided_steps(settings: settings_lib.Settings) -> bool:
  """Return whether a step may have strength 0, which takes one branch."""
  whole = tuple(settings.guidance_interval) == (0.0, 1.0)
  return not whole or 0.0 in settings.guidance_ramp


def mix(
  weights: Sequence[Float[Array, ""]] | Float[Array, " n"],
  logits: Sequence[Float[Array, "*s v"]] | Float[Array, "n *s v"],
) -> Float[Array, "*s v"]:
  """Return the weighted sum of the branches, added from first to last."""
  # Not an einsum: kernels and the reference must round in the same order.
  return functools.reduce(
    operator.add,
    (weight * branch for weight, branch in zip(weights, logits, strict=True)),
  )
