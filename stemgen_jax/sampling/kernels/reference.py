"""The reference implementation of the kernels, in plain jnp."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from stemgen_jax.sampling import guidance, noise, ranking


class Picks(NamedTuple):
  """One candidate for every frame.

  Attributes:
    codes: codes drawn from the mixed distribution.
    log_p: their log-probabilities in that distribution.
    rank: ranks; the frames of highest rank are kept.
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
  """Mix the branches, draw a code and rank it; arguments as in `api.pick`."""
  # In float32: lower precision truncates the tail of the Gumbel noise, which
  # lowers the temperature silently.
  branches = logits[..., :codes].astype(jnp.float32)
  branches = branches.reshape(len(weights), *keys.shape, codes)  # [n, b, t, v]
  mixed = guidance.mix(weights, branches) / temperature
  if top is not None:
    mixed = truncate(mixed, *top)
  # Gumbel-max: the argmax is a draw from softmax(mixed). [b, t]
  chosen = jnp.argmax(mixed + noise.gumbel(keys, codes), axis=-1)
  log_p = jnp.take_along_axis(mixed, chosen[..., None], axis=-1)[..., 0]
  log_p -= jax.nn.logsumexp(mixed, axis=-1)
  ranks = ranking.rank(rank, log_p, order, w_confidence)
  return Picks(chosen.astype(jnp.int32), log_p, ranks)


def truncate(
  logits: Float[Array, "b t v"], top_k: Int[Array, ""], top_p: Float[Array, ""]
) -> Float[Array, "b t v"]:
  """Set the logits of all but the most likely codes to -inf.

  Args:
    logits: logits of all codes.
    top_k: number of codes to keep, and those that tie with the last; 0 for all.
    top_p: keep the fewest codes that have this probability together, at least
      one; 1 for all.
  """
  v = logits.shape[-1]
  falling = -jnp.sort(-logits, axis=-1)
  # Probability of the more likely codes, without the code itself.
  before = jnp.cumsum(jax.nn.softmax(falling, axis=-1), axis=-1)
  before = jnp.pad(before[..., :-1], ((0, 0), (0, 0), (1, 0)))
  # `before` may be rounded up to 1, which must not drop a code at top_p 1.
  count = jnp.sum((before < top_p) | (top_p >= 1), axis=-1, keepdims=True)
  count = jnp.minimum(count, jnp.where(top_k > 0, top_k, v))
  last = jnp.take_along_axis(falling, count - 1, axis=-1)
  return jnp.where(logits >= last, logits, -jnp.inf)
