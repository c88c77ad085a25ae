"""Count the bytes moved by one sampling step after the last layer."""

import argparse
import itertools


def run(arguments: argparse.Namespace) -> None:
  """Print bytes of the plain path and of the kernels."""
  from stemgen_jax.sampling.kernels import mosaic_tpu

  print(
    "MB per step: plain path, XLA's count on this backend, kernel, fused head\n"
    "| branches | batch | codes | plain | counted | kernel | fused head |\n"
    "|---:|---:|---:|---:|---:|---:|---:|"
  )
  d = arguments.width
  for n, b, v in itertools.product((1, 2, 3), (1, 8), (1024, 2048)):
    r = b * arguments.frames  # rows of all examples
    features, head, logits = 2 * n * r * d, 2 * d * v, 4 * n * r * v
    # Inputs: keys and order; outputs: code, log-probability and rank.
    small = 24 * r
    written = features + head + logits
    # The guided logits are written once, and read for the draw, the maximum
    # and the sum.
    plain = written + logits + 4 * 4 * r * v + small
    blocks = -(-r // mosaic_tpu.HEAD_BLOCK[0])
    row = (
      plain,
      _counted(n, b, arguments.frames, v, d),
      written + logits + small,
      features + blocks * head + small,
    )
    megabytes = " | ".join(f"{count / 1e6:.0f}" for count in row)
    print(f"| {n} | {b} | {v} | {megabytes} |")


def _counted(n: int, b: int, t: int, v: int, d: int) -> float:
  """Return XLA's bytes accessed of the plain path on this backend."""
  import jax
  import jax.numpy as jnp

  from stemgen_jax.sampling import kernels

  def pick(values, head, weights, temperature, keys, order, w_confidence):
    return kernels.pick(
      kernels.REFERENCE,
      values,
      weights,
      temperature,
      keys,
      order,
      w_confidence,
      rank="gumbel",
      codes=v,
      head=head,
    )

  def array(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)

  analysis = (
    jax.jit(pick)
    .lower(
      array(n * b, t, d, dtype=jnp.bfloat16),
      array(d, v, dtype=jnp.bfloat16),
      array(n),
      array(),
      array(b, t, dtype=jax.random.key(0).dtype),
      array(b, t),
      array(),
    )
    .compile()
    .cost_analysis()
  )
  return (analysis or {})["bytes accessed"]
