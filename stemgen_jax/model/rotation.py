"""Rotary position embedding of queries and keys (arXiv 2104.09864)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

Rotation = Float[Array, "2 1 t 1 half"]


def rotation(frames: int, size: int, base: float) -> Rotation:
  """Return cosine and sine of the angles of each frame, for heads of `size`."""
  wavelengths = base ** -(jnp.arange(0, size, 2, dtype=jnp.float32) / size)
  time = jnp.arange(frames, dtype=jnp.float32)
  angle = time[None, :, None, None] * wavelengths[None, None, None]
  return jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def rotate(
  x: Float[Array, "b t n h"], turn: Rotation
) -> Float[Array, "b t n h"]:
  """Apply rotary position embedding (arXiv 2104.09864), halves as in LLaMA."""
  cos, sin = turn
  # In float32: bfloat16 has 8 bits for angles of up to a thousand frames.
  a, b = jnp.split(x.astype(jnp.float32), 2, axis=-1)
  turned = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
  return turned.astype(x.dtype)
