"""How many frames are still masked after each step of a level."""

import jax.numpy as jnp
from jaxtyping import Array, Int


def masked_after(
  steps_done: Int[Array, ""] | int,
  steps: Int[Array, ""] | int,
  total: Int[Array, " b"],
) -> Int[Array, " b"]:
  """Cosine schedule of MaskGIT: floor(total * cos(pi/2 * steps_done/steps)).

  Args:
    steps_done: steps finished, 0 to `steps`.
    steps: steps of the level, at least 1.
    total: frames masked before the first step.

  Returns:
    Frames masked after that step; `total` at first and 0 at the end.
  """
  ratio = jnp.cos(jnp.pi / 2 * steps_done / steps)
  # The small factor keeps a whole product, such as half of 1000, whole
  # whichever way the backend's cosine rounds; the maximum, cos(pi/2) at 0.
  left = jnp.floor(total * ratio * (1 + 1e-6))
  return jnp.maximum(left, 0).astype(jnp.int32)
