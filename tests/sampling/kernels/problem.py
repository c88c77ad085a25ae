"""Logits, keys and numbers to pick from."""

import jax
import jax.numpy as jnp
from jax import core

from stemgen_jax.sampling import kernels, noise

WEIGHTS = jnp.array([-1.5, 2.0, 0.5])
# The tolerances are one unit in the last place of a sum, which XLA's default
# emitters keep; tests/conftest.py turns these off where there are others.
_OPTIONS = (
  {"xla_cpu_use_fusion_emitters": True}
  if jax.__version_info__ < (0, 11)
  else None
)


def problem(n, b, t, v, *, d=0, dtype=jnp.float32):
  """Return traceable arguments of `pick`; with a head if d."""
  draw = jax.random.split(jax.random.key(n + v), 3)
  values = jax.random.normal(draw[0], (n * b, t, d or v), dtype)
  head = 5 * d**-0.5 * jax.random.normal(draw[1], (d, v), dtype) if d else None
  frames = jnp.broadcast_to(jnp.arange(t) + 70, (b, t))
  keys = noise.frame_keys(jnp.arange(b, dtype=jnp.uint32), frames, 1, 3, 0)
  order = jax.random.uniform(draw[2], (b, t))
  return {
    "values": values if d else 5 * values,
    "weights": WEIGHTS[:n] / WEIGHTS[:n].sum(),
    "temperature": jnp.float32(0.9),
    "keys": keys,
    "order": order,
    "w_confidence": jnp.float32(0.3),
    "head": head,
  }


def pick(kernel, given, *, rank="paper", codes, top=None):
  """Run `kernels.pick`, compiled, or as a part of a traced function."""

  def run(given):
    return kernels.pick(kernel, **given, rank=rank, codes=codes, top=top)

  if isinstance(given["values"], core.Tracer):
    return run(given)
  return jax.jit(run, compiler_options=_OPTIONS)(given)


def shapes(given, sharding=None):
  """Return the shapes of a problem, to lower or compile for other devices."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), given
  )
