"""The dtype of matrix products on each backend, and bfloat16 ones on CPUs."""

import functools
import pathlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stemgen_jax.model.sharding import alone

# The first NVIDIA GPUs with bfloat16 units: A100, RTX 30.
_CAPABILITY = 8.0


def resolve_dtype(name: str) -> str:
  """Return `name`, or for "auto" the fastest dtype of products here.

  bfloat16 on TPUs, on GPUs of compute capability 8.0 and above, and on CPUs
  with AMX tiles; otherwise float32.
  """
  if name != "auto":
    return name
  backend = jax.default_backend()
  if backend == "cpu":
    fast = "amx_bf16" in processor_flags()
  elif backend == "gpu":
    # Devices other than NVIDIA's state none, and have bfloat16 units.
    stated = getattr(jax.devices()[0], "compute_capability", _CAPABILITY)
    try:
      fast = float(stated) >= _CAPABILITY
    except ValueError:  # "gfx942"
      fast = True
  else:
    fast = True
  return "bfloat16" if fast else "float32"


@functools.cache
def processor_flags() -> frozenset[str]:
  """Return the flags of the processor; none where Linux does not list them."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
  except OSError:
    return frozenset()
  for line in lines.splitlines():
    if line.startswith("flags"):
      return frozenset(line.partition(":")[2].split())
  return frozenset()


def mixed(dtype: jnp.dtype) -> bool:
  """Return whether products in `dtype` take float32 activations.

  On a CPU only operands are in bfloat16: products with a bfloat16 result, and
  elementwise operations, would be converted to float32 and back (measured).
  """
  return dtype == jnp.bfloat16 and alone() and jax.default_backend() == "cpu"


@jax.custom_vjp
def product(
  x: Float[Array, "m k"], kernel: Float[Array, "k n"]
) -> Float[Array, "m n"]:
  """Multiply in bfloat16, forward and backward, with float32 results.

  This form alone reaches the AMX tiles of a CPU.
  """
  return _dot(x, kernel, 1, 0)


def _dot(a: Array, b: Array, a_axis: int, b_axis: int) -> Array:
  return jax.lax.dot_general(
    a.astype(jnp.bfloat16),
    b.astype(jnp.bfloat16),
    (((a_axis,), (b_axis,)), ((), ())),
    preferred_element_type=jnp.float32,
  )


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, ...]]:
  # Saved in bfloat16; the empty arrays carry the dtypes of the gradients.
  small = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
  dtypes = jnp.zeros(0, x.dtype), jnp.zeros(0, kernel.dtype)
  return _dot(*small, 1, 0), (*small, *dtypes)


def _backward(saved: tuple[Array, ...], g: Array) -> tuple[Array, Array]:
  x, kernel, like_x, like_kernel = saved
  return (
    _dot(g, kernel, 1, 1).astype(like_x.dtype),
    _dot(x, g, 0, 0).astype(like_kernel.dtype),
  )


product.defvjp(_forward, _backward)
