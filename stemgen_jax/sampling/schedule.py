"""The number of masked frames after each step of a level."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int


def masked_after(
  steps_done: Int[Array | np.ndarray, "*s"] | int,
  steps: Int[Array, ""] | int,
  total: Int[Array, " b"] | int,
  form: str = "cosine",
) -> Int[Array | np.ndarray, "..."]:
  """Return floor(total * ratio(steps_done / steps)).

  NumPy arrays and numbers are computed on the host.

  Args:
    steps_done: finished steps, 0 to `steps`.
    steps: steps of the level, at least 1.
    total: frames masked before the first step.
    form: ratio at u: "cosine" (MaskGIT) cos(pi u / 2), "linear" 1 - u,
      "square" 1 - u^2, few frames at first, or "root" 1 - sqrt(u), many.

  Returns:
    Frames masked after that step, from `total` to 0.
  """
  traced = isinstance(steps_done, jax.Array) or isinstance(total, jax.Array)
  xp = jnp if traced else np
  u = steps_done / steps
  ratio = {
    "cosine": lambda: xp.cos(np.pi / 2 * u),
    "linear": lambda: 1.0 - u,
    "square": lambda: 1.0 - u * u,
    "root": lambda: 1.0 - xp.sqrt(u),
  }[form]()
  # The small factor keeps an integer product, such as half of 1000, from being
  # rounded to just below it; the maximum keeps cos(pi/2) < 0 at 0.
  left = xp.floor(total * ratio * (1 + 1e-6))
  return xp.maximum(left, 0).astype(np.int32)
