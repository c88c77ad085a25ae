"""The arithmetic of the kernels on one block of codes, in plain jnp.

A launcher visits the codes of a frame block by block and carries a `State`. It
loads only the branches' logits; noise is computed in place from the frame's
key and the code's number, so that it depends neither on the block size nor on
the order of the blocks.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from stemgen_jax.sampling import guidance, ranking

Words = tuple[UInt32[Array, "..."], UInt32[Array, "..."]]
"""The two words of each frame's threefry key."""

_LOWEST = float(np.finfo(np.float32).min)
_TINY = float(np.finfo(np.float32).tiny)
# Rotations of threefry-2x32, for alternate groups of four rounds.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


class State(NamedTuple):
  """Running values of each frame after some of its codes, all float32.

  Attributes:
    noisy: highest sum of logit and noise so far.
    code: its code; integers are exact up to 2**24.
    logit: its logit without the noise.
    peak: highest logit.
    total: sum of exp(logit - peak).
  """

  noisy: Float[Array, "*r"]
  code: Float[Array, "*r"]
  logit: Float[Array, "*r"]
  peak: Float[Array, "*r"]
  total: Float[Array, "*r"]


def start(shape: tuple[int, ...]) -> State:
  """Return the state before the first code, for frames of a shape."""

  def full(value: float) -> Array:
    return jnp.full(shape, value, jnp.float32)

  return State(full(-np.inf), full(0), full(_LOWEST), full(_LOWEST), full(0))


def update(
  state: State,
  logits: Sequence[Float[Array, "*r c"]],
  weights: Sequence[Float[Array, ""]],
  temperature: Float[Array, ""],
  keys: Words,
  first: Array | int,
  codes: int,
) -> State:
  """Update the state with a block of codes.

  The state and the keys have a last axis of 1 on backends that need all arrays
  to have one rank, and no such axis on others.

  Args:
    state: state after the codes before.
    logits: one array per branch.
    weights: weights of the branches.
    temperature: divisor of the mixed logits.
    keys: keys of each frame's noise.
    first: number of the block's first code.
    codes: number of codes; logits beyond may be anything.
  """
  shape = logits[0].shape
  column = jax.lax.broadcasted_iota(jnp.int32, shape, len(shape) - 1) + first
  legal = column < codes
  mixed = guidance.mix(weights, [x.astype(jnp.float32) for x in logits])
  # Logits beyond the last code add exp(lowest - peak) = 0 to the total.
  mixed = jnp.where(legal, mixed / temperature, _LOWEST)
  words = (_spread(keys[0], shape), _spread(keys[1], shape))
  noise = gumbel(words, column.astype(jnp.uint32))
  noisy = jnp.where(legal, mixed + noise, -np.inf)

  def over_codes(reduce: Callable, x: Array) -> Array:
    return reduce(x, axis=-1, keepdims=state.noisy.ndim == x.ndim)

  best = over_codes(jnp.max, noisy)
  # The first code of those that tie, as in argmax, by reductions and
  # comparisons only, which all launchers support.
  number = column.astype(jnp.float32)
  at = noisy == _spread(best, shape)
  code = over_codes(jnp.min, jnp.where(at, number, np.inf))
  is_code = number == _spread(code, shape)
  logit = over_codes(jnp.max, jnp.where(is_code, mixed, _LOWEST))
  # Online softmax: rescale the total when the peak rises.
  peak = jnp.maximum(state.peak, over_codes(jnp.max, mixed))
  total = over_codes(jnp.sum, jnp.exp(mixed - _spread(peak, shape)))
  leads = best > state.noisy  # strictly: the earlier code wins a tie
  return State(
    jnp.maximum(state.noisy, best),
    jnp.where(leads, code, state.code),
    jnp.where(leads, logit, state.logit),
    peak,
    state.total * jnp.exp(state.peak - peak) + total,
  )


def finish(
  state: State,
  order: Float[Array, "*r"],
  w_confidence: Float[Array, ""],
  rank: str,
) -> tuple[Float[Array, "*r"], Float[Array, "*r"], Float[Array, "*r"]]:
  """Return the code, its log-probability and its rank."""
  log_p = state.logit - (state.peak + jnp.log(state.total))
  return state.code, log_p, ranking.rank(rank, log_p, order, w_confidence)


def gumbel(keys: Words, counter: UInt32[Array, "*s"]) -> Float[Array, "*s"]:
  """Return the noise of `noise.gumbel` for the codes in `counter`."""
  high, low = threefry(keys, jnp.zeros_like(counter), counter)
  # 23 random bits as the mantissa of a float in [1, 2), as jax.random.uniform.
  bits = ((high ^ low) >> np.uint32(9)) | np.uint32(0x3F800000)
  uniform = jax.lax.bitcast_convert_type(bits, jnp.float32) - 1.0
  return -jnp.log(-jnp.log(jnp.maximum(uniform + _TINY, _TINY)))


def threefry(
  keys: Words, high: UInt32[Array, "*s"], low: UInt32[Array, "*s"]
) -> tuple[UInt32[Array, "*s"], UInt32[Array, "*s"]]:
  """Return threefry-2x32 of a 64-bit counter (Salmon et al. 2011)."""
  # Five groups of four rounds; 0x1BD11BDA is the parity constant.
  schedule = (*keys, keys[0] ^ keys[1] ^ np.uint32(0x1BD11BDA))
  high, low = high + schedule[0], low + schedule[1]
  for group in range(5):
    for bits in _ROTATIONS[group % 2]:
      high = high + low
      low = (low << np.uint32(bits)) | (low >> np.uint32(32 - bits))
      low = low ^ high
    high = high + schedule[(group + 1) % 3]
    low = low + schedule[(group + 2) % 3] + np.uint32(group + 1)
  return high, low


def _spread(x: Array, shape: tuple[int, ...]) -> Array:
  """Broadcast one number per frame to all of its codes."""
  return jax.lax.broadcast_in_dim(x, shape, tuple(range(x.ndim)))
