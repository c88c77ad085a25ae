"""The plain path: what the kernels compute, array by array."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from stemgen_jax.sampling import guidance, noise, ranking


class Picks(NamedTuple):
  """One candidate for every frame.

  Attributes:
    codes: drawn from the mixed distribution.
    log_p: their log-probabilities in what they were drawn from.
    rank: of which frames stay, the highest first.
  """

  codes: Int[Array, "b t"]
  log_p: Float[Array, "b t"]
  rank: Float[Array, "b t"]


def pick(
  logits: Float[Array, "nb t v"],
  weights: Float[Array, " n"],
  temperature: Float[Array, ""],
  keys: Key[Array, "b t"],
  order: Float[Array, "b t"],
  w_confidence: Float[Array, ""],
  *,
  rank: str,
  codes: int,
  top: tuple[Int[Array, ""], Float[Array, ""]] | None = None,
) -> Picks:
  """Mixes the branches, draws a code and ranks it, in float32; see `api.pick`.

  Args:
    logits: of all branches, one branch's batch after the other.
    weights: of the branches.
    temperature: divides the mixed logits.
    keys: of each frame's noise.
    order: see `ranking.rank`.
    w_confidence: see `ranking.rank`.
    rank: form of the rank.
    codes: so many codes are legal; logits beyond them are of none.
    top: top-k and top-p, see `truncate`; None where there is neither.
  """
  # In lower precision the tail of the Gumbel noise is cut off, which lowers
  # the temperature silently.
  branches = logits[..., :codes].astype(jnp.float32)
  branches = branches.reshape(len(weights), *keys.shape, codes)
  mixed = guidance.mix(weights, branches) / temperature
  if top is not None:
    mixed = truncate(mixed, *top)
  chosen = jnp.argmax(mixed + noise.gumbel(keys, codes), axis=-1)
  log_p = jnp.take_along_axis(mixed, chosen[..., None], axis=-1)[..., 0]
  log_p -= jax.nn.logsumexp(mixed, axis=-1)
  ranks = ranking.rank(rank, log_p, order, w_confidence)
  return Picks(chosen.astype(jnp.int32), log_p, ranks)


def truncate(
  logits: Float[Array, "b t v"],
  top_k: Int[Array, ""],
  top_p: Float[Array, ""],
) -> Float[Array, "b t v"]:
  """-inf for all but the likeliest codes.

  Args:
    logits: of all codes.
    top_k: codes that stay, those that tie with the last one too; 0 for all.
    top_p: the fewest likeliest codes stay that hold this much probability, at
      least one; 1 for all.
  """
  v = logits.shape[-1]
  falling = -jnp.sort(-logits, axis=-1)
  before = jnp.cumsum(jax.nn.softmax(falling, axis=-1), axis=-1)
  before = jnp.pad(before[..., :-1], ((0, 0), (0, 0), (1, 0)))
  # Rounding must not drop a code where all are to stay.
  count = jnp.sum((before < top_p) | (top_p >= 1), axis=-1, keepdims=True)
  count = jnp.minimum(count, jnp.where(top_k > 0, top_k, v))
  last = jnp.take_along_axis(falling, count - 1, axis=-1)
  return jnp.where(logits >= last, logits, -jnp.inf)
