"""Which candidates stay after a step."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

_BITS = 24  # whole numbers of so many bits are exact in float32


def rank(
  form: str,
  log_p: Float[Array, "*s"],
  order: Float[Array, "*s"],
  w_confidence: Float[Array, ""] | float,
) -> Float[Array, "*s"]:
  """Which candidates stay, the highest first.

  Args:
    form: "paper" is StemGen's eq. 1, w_c * c_n + w_s * (1 - n/N) + w_r * X with
      c_n = exp(log_p); "gumbel" is VampNet's log p + temperature * Gumbel
      noise; others do not look at the candidates.
    log_p: log-probability of each frame's candidate.
    order: the rest, which no candidate changes: see `paper_order`,
      `gumbel_order` and `low_discrepancy_order`.
    w_confidence: w_c.
  """
  if form == "paper":
    return w_confidence * jnp.exp(log_p) + order
  return log_p + order if form == "gumbel" else order


def paper_order(
  place: Float[Array, "b t"],
  uniform: Float[Array, "b t"],
  w_causal: Float[Array, ""] | float,
  w_random: Float[Array, ""] | float,
) -> Float[Array, "b t"]:
  """w_s * (1 - n/N) + w_r * X of StemGen's eq. 1.

  Args:
    place: n/N, the frame's place in the window, 0 to 1.
    uniform: X, uniform in [0, 1).
    w_causal: w_s.
    w_random: w_r.
  """
  return w_causal * (1.0 - place) + w_random * uniform


def gumbel_order(
  uniform: Float[Array, "b t"], temperature: Float[Array, ""] | float
) -> Float[Array, "b t"]:
  """Gumbel noise of VampNet's rank.

  Args:
    uniform: uniform in [0, 1), turned into the noise.
    temperature: anneal it to 0 over the steps of a level.
  """
  tiny = jnp.finfo(jnp.float32).tiny
  return -temperature * jnp.log(-jnp.log(jnp.maximum(uniform, tiny)))


def low_discrepancy_order(
  frames: Int[Array, "b t"], rolls: UInt32[Array, " b"]
) -> Float[Array, "b t"]:
  """Order of the van der Corput sequence in base 2, rolled along the frames.

  However many frames have been taken, they lie evenly apart: 0, 1/2, 1/4,
  3/4, ... of the way, which needs no noise but the roll. As Halton's order of
  Besnier et al. (arXiv 2503.17076), in one dimension.

  Args:
    frames: absolute frame numbers.
    rolls: the frame that comes first, modulo 2**24.
  """
  number = frames.astype(jnp.uint32) + rolls[:, None]
  reverse = jnp.zeros_like(number)
  for bit in range(_BITS):
    reverse |= ((number >> bit) & 1) << (_BITS - 1 - bit)
  return -reverse.astype(jnp.float32) / 2**_BITS


def best(
  rank: Float[Array, "b t"],
  masked: Bool[Array, "b t"],
  count: Int[Array, " b"],
) -> Bool[Array, "b t"]:
  """Marks the `count` masked frames of highest rank.

  The places come from a stable sort, so the count is exact when ranks tie
  (the earlier frame stays), where a threshold would keep all of the tied. It
  is exact, too, when ranks are no numbers: these come last.
  """
  order = jnp.lexsort((-rank, ~masked), axis=-1)
  position = jnp.argsort(order, axis=-1)
  return masked & (position < count[:, None])
