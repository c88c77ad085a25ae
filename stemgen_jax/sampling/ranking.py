"""Ranks of the candidates, of which the highest are kept after a step."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

_BITS = 24  # integers up to 2**24 are exact in float32


def rank(
  form: str,
  log_p: Float[Array, "*s"],
  order: Float[Array, "*s"],
  w_confidence: Float[Array, ""] | float,
) -> Float[Array, "*s"]:
  """Return the rank of each candidate; higher ones are kept.

  Args:
    form: "paper" is StemGen's eq. 1, w_c * c_n + w_s * (1 - n/N) + w_r * X with
      c_n = exp(log_p); "gumbel" is VampNet's log p + temperature * Gumbel
      noise; others do not depend on the candidates.
    log_p: log-probability of each frame's candidate.
    order: terms that do not depend on the candidates, see `paper_order`,
      `gumbel_order` and `low_discrepancy_order`.
    w_confidence: w_c.
  """
  # Eq. 1; c_n is the softmax probability of the candidate.
  if form == "paper":
    return w_confidence * jnp.exp(log_p) + order
  return log_p + order if form == "gumbel" else order


def paper_order(
  place: Float[Array, "b t"],
  uniform: Float[Array, "b t"],
  w_causal: Float[Array, ""] | float,
  w_random: Float[Array, ""] | float,
) -> Float[Array, "b t"]:
  """Return w_s * (1 - n/N) + w_r * X of StemGen's eq. 1.

  Args:
    place: n/N, position of the frame in the window, 0 to 1.
    uniform: X, uniform in [0, 1).
    w_causal: w_s.
    w_random: w_r.
  """
  return w_causal * (1.0 - place) + w_random * uniform


def gumbel_order(
  uniform: Float[Array, "b t"], temperature: Float[Array, ""] | float
) -> Float[Array, "b t"]:
  """Return the Gumbel noise of VampNet's rank.

  Args:
    uniform: noise, uniform in [0, 1).
    temperature: scale, to be annealed to 0 over the steps of a level.
  """
  # log(0) is -inf, and 0 * inf would be NaN at temperature 0.
  tiny = jnp.finfo(jnp.float32).tiny
  return -temperature * jnp.log(-jnp.log(jnp.maximum(uniform, tiny)))


def low_discrepancy_order(
  frames: Int[Array, "b t"], rolls: UInt32[Array, " b"]
) -> Float[Array, "b t"]:
  """Return the order of the van der Corput sequence in base 2, rolled.

  At any time the frames taken are evenly spaced: 0, 1/2, 1/4, 3/4, ... of the
  window. Only the roll is random. In one dimension this is the Halton order
  of Besnier et al. (arXiv 2503.17076).

  Args:
    frames: absolute frame numbers.
    rolls: offset of the frame numbers per take, modulo 2**24.
  """
  # Reversing the bits of the frame number gives its place in the sequence.
  number = frames.astype(jnp.uint32) + rolls[:, None]
  reverse = jnp.zeros_like(number)
  for bit in range(_BITS):
    reverse |= ((number >> bit) & 1) << (_BITS - 1 - bit)
  return -reverse.astype(jnp.float32) / 2**_BITS


def best(
  rank: Float[Array, "b t"], masked: Bool[Array, "b t"], count: Int[Array, " b"]
) -> Bool[Array, "b t"]:
  """Mark the `count` masked frames of highest rank.

  The count is exact when ranks tie (the earlier frame is kept) and when ranks
  are NaN (these come last).
  """
  # A stable sort: a threshold on the rank would keep all frames that tie.
  order = jnp.lexsort((-rank, ~masked), axis=-1)
  # The inverse permutation: position of each frame in the order.
  position = jnp.argsort(order, axis=-1)
  return masked & (position < count[:, None])
