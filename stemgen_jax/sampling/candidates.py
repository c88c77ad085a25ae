"""One candidate code for every frame, and how likely it was."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from stemgen_jax.sampling import guidance, noise


def pick(
  logits: Float[Array, "nb t v"],
  weights: Float[Array, " n"],
  keys: Key[Array, "b t"],
  temperature: Float[Array, ""],
  top: tuple[Int[Array, ""], Float[Array, ""]] | None = None,
) -> tuple[Int[Array, "b t"], Float[Array, "b t"]]:
  """Mixes the branches and draws from the result, in float32.

  Args:
    logits: of all branches, one branch's batch after the other.
    weights: of the branches.
    keys: of each frame's noise.
    temperature: divides the mixed logits.
    top: top-k and top-p, see `truncate`; None where there is neither.

  Returns:
    The codes, and their log-probabilities in what they were drawn from.
  """
  # In lower precision the tail of the Gumbel noise is cut off, which lowers
  # the temperature silently.
  mixed = guidance.mix(weights, logits.astype(jnp.float32)) / temperature
  if top is not None:
    mixed = truncate(mixed, *top)
  gumbel = noise.gumbel(keys, mixed.shape[-1])
  codes = jnp.argmax(mixed + gumbel, axis=-1).astype(jnp.int32)
  log_p = jnp.take_along_axis(mixed, codes[..., None], axis=-1)[..., 0]
  return codes, log_p - jax.nn.logsumexp(mixed, axis=-1)


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
