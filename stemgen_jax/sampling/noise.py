"""Random numbers that depend on (seed, level, step, frame, code) alone.

They do not depend on the batch, the place of the window or the number of
devices, so that a take can be reproduced alone, in a batch, or in another
window. Every frame has its own threefry key and the code is the counter under
it, which a kernel can compute in place.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

# Streams. Never renumber them: saved seeds would give other takes.
CANDIDATES = 0
ORDER = 1
_ROLL = 2


def frame_keys(
  seeds: UInt32[Array, " b"],
  frames: Int[Array, "b t"],
  level: Int[Array, ""] | int,
  step: Int[Array, ""] | int,
  stream: int,
) -> Key[Array, "b t"]:
  """Return one key for each frame.

  Args:
    seeds: one seed for each take.
    frames: absolute frame numbers, from the beginning of the audio.
    level: codec level, 0 is the coarsest.
    step: step within the level.
    stream: CANDIDATES or ORDER, which are independent.
  """

  def keys_of_take(seed, frames):
    key = _key(seed, stream, level, step)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, frames)

  return jax.vmap(keys_of_take)(seeds, frames)


def rolls(
  seeds: UInt32[Array, " b"], level: Int[Array, ""] | int
) -> UInt32[Array, " b"]:
  """Return a random number of 32 bits for each take and level."""
  return jax.vmap(lambda seed: jax.random.bits(_key(seed, _ROLL, level)))(seeds)


def _key(seed: UInt32[Array, ""], *parts: Any) -> Key[Array, ""]:
  # Named, as another default generator would change all takes.
  key = jax.random.key(seed, impl="threefry2x32")
  for part in parts:
    key = jax.random.fold_in(key, part)
  return key


def gumbel(keys: Key[Array, "b t"], codes: int) -> Float[Array, "b t v"]:
  """Return standard Gumbel noise, float32, for each of `codes` codes."""
  draw = functools.partial(jax.random.gumbel, shape=(codes,), dtype=jnp.float32)
  return jax.vmap(jax.vmap(draw))(keys)


def uniform(keys: Key[Array, "b t"]) -> Float[Array, "b t"]:
  """Return uniform noise in [0, 1), float32."""
  draw = functools.partial(jax.random.uniform, dtype=jnp.float32)
  return jax.vmap(jax.vmap(draw))(keys)
