"""Random numbers that depend on (seed, level, step, frame, code) alone.

Neither the batch, the neighbours, the window's place nor the number of devices
enters, so a take can be had again alone, beside others, or inside another
window. Every frame has its own threefry key and a code is the counter under
it, which a kernel can compute in place.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

CANDIDATES = 0
ORDER = 1


def frame_keys(
  seeds: UInt32[Array, " b"],
  frames: Int[Array, "b t"],
  level: Int[Array, ""] | int,
  step: Int[Array, ""] | int,
  stream: int,
) -> Key[Array, "b t"]:
  """One key for each frame.

  Args:
    seeds: one seed for each take.
    frames: absolute frame numbers, counted from the start of the audio.
    level: codec level, 0 is the coarsest.
    step: step within the level.
    stream: CANDIDATES or ORDER, which never share numbers.
  """

  def keys_of_take(seed, frames):
    key = jax.random.key(seed, impl="threefry2x32")
    for part in (stream, level, step):
      key = jax.random.fold_in(key, part)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, frames)

  return jax.vmap(keys_of_take)(seeds, frames)


def gumbel(keys: Key[Array, "b t"], codes: int) -> Float[Array, "b t v"]:
  """Standard Gumbel noise, float32, for each of `codes` codes."""
  draw = functools.partial(jax.random.gumbel, shape=(codes,), dtype=jnp.float32)
  return jax.vmap(jax.vmap(draw))(keys)


def uniform(keys: Key[Array, "b t"]) -> Float[Array, "b t"]:
  """Uniform noise in [0, 1), float32."""
  draw = functools.partial(jax.random.uniform, dtype=jnp.float32)
  return jax.vmap(jax.vmap(draw))(keys)
