"""Products with the kernels of the blocks, which are split over the mesh."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from stemgen_jax.model.products import mixed, product
from stemgen_jax.model.sharding import spec

# Logical axes of the letters of an einsum: b, t are batch and frames; d is the
# width, split in kernels only; n, h are heads and their width; s, f are the two
# branches of the SwiGLU and its hidden width.
_KERNEL_AXES = {"d": "embed", "n": "heads", "f": "mlp"}
_ACTIVATION_AXES = {"b": "batch", "n": "heads", "f": "mlp"}


class Projection(nnx.Module):
  """An einsum with a sharded kernel and no bias.

  Args:
    equation: equation of input, kernel and output, one letter per axis.
    sizes: size of each letter of the kernel.
    scale: factor of the initial kernel, which keeps unit scale at 1.
    dtype: dtype of the product.
    rngs: random keys with a stream `params`.
  """

  def __init__(
    self,
    equation: str,
    sizes: Mapping[str, int],
    *,
    scale: float = 1.0,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ):
    letters, out = equation.partition(",")[2].split("->")
    shape = tuple(sizes[letter] for letter in letters)
    fan_in = math.prod(sizes[letter] for letter in letters if letter not in out)
    placed = spec(*map(_KERNEL_AXES.get, letters))
    kernel = jax.random.normal(rngs.params(), shape, out_sharding=placed)
    self.kernel = nnx.Param(scale * fan_in**-0.5 * kernel)
    self.out = tuple(map(_ACTIVATION_AXES.get, out))
    self.equation, self.dtype = equation, dtype

  def __call__(self, x: Array) -> Array:
    """Apply the einsum."""
    if mixed(self.dtype):
      return self._product(x, self.kernel[...])
    return jnp.einsum(
      self.equation,
      x.astype(self.dtype),
      self.kernel[...].astype(self.dtype),
      out_sharding=spec(*self.out),
    )

  def _product(self, x: Array, kernel: Array) -> Array:
    inputs = x.reshape(math.prod(x.shape[:2]), -1)  # [b * t, inputs]
    outputs = kernel.shape[x.ndim - 2 :]
    y = product(inputs, kernel.reshape(inputs.shape[1], -1))
    return y.reshape(*x.shape[:2], *outputs)
