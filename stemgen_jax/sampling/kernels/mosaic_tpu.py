"""The kernel on TPUs: Pallas with Mosaic."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float, UInt32

from stemgen_jax.sampling.kernels import tile

BLOCK = (64, 1024)  # frames, codes
# Every block of frames reads the whole head: larger blocks read fewer bytes.
# With three branches of width 1024 this block fills the VMEM of a v5e core.
HEAD_BLOCK = (512, 256)


def launch(
  scalars: Float[Array, " scalars"],
  frames: UInt32[Array, "r 3"],
  values: Float[Array, "n r w"],
  head: Float[Array, "w v"] | None,
  rank: str,
  codes: int,
  *,
  frames_block: int,
  codes_block: int,
  interpret: bool = False,
) -> Float[Array, "r 3"]:
  """Run the kernel on blocks of `frames_block` x `codes_block`.

  Args:
    scalars: weights of the branches, temperature, w_confidence.
    frames: per frame the two words of its key and the bits of its order.
    values: logits of the branches, in any floating dtype; or the input of
      `head`, which is then applied block by block on the chip.
    head: head of the model.
    rank: see `ranking.rank`.
    codes: number of codes.
    frames_block: frames per block, a multiple of 8 or at least all frames.
    codes_block: codes per block, a multiple of 128 or at least all codes.
    interpret: run on any backend.

  Returns:
    Per frame the code, its log-probability and its rank.
  """
  n, r, last = values.shape
  v = last if head is None else head.shape[1]
  rows, columns = min(frames_block, r), min(codes_block, v)
  if head is None:
    operands = (values,)
    specs = [pl.BlockSpec((n, rows, columns), lambda i, j: (0, i, j))]
  else:
    operands = (values, head)
    specs = [
      pl.BlockSpec((n, rows, last), lambda i, j: (0, i, 0)),
      pl.BlockSpec((last, columns), lambda i, j: (0, j)),
    ]
  return pl.pallas_call(
    functools.partial(
      _kernel, rank=rank, codes=codes, columns=columns, operands=len(operands)
    ),
    grid=(pl.cdiv(r, rows), pl.cdiv(codes, columns)),
    in_specs=[
      pl.BlockSpec(memory_space=pltpu.SMEM),
      pl.BlockSpec((rows, 3), lambda i, j: (i, 0)),
      *specs,
    ],
    out_specs=pl.BlockSpec((rows, 3), lambda i, j: (i, 0)),
    out_shape=jax.ShapeDtypeStruct((r, 3), jnp.float32),
    # The state of a block of frames persists over its blocks of codes.
    scratch_shapes=[pltpu.VMEM((rows, 1), jnp.float32)]
    * len(tile.State._fields),
    compiler_params=pltpu.CompilerParams(
      # The codes in order: a block of codes continues the state.
      dimension_semantics=("parallel", "arbitrary")
    ),
    interpret=interpret,
  )(scalars, frames, *operands)


def _kernel(
  scalars: Any,
  frames: Any,
  *refs: Any,
  rank: str,
  codes: int,
  columns: int,
  operands: int,
):
  (values, *head), (out, *state) = refs[:operands], refs[operands:]
  n, rows, _ = values.shape
  block = pl.program_id(1)

  @pl.when(block == 0)
  def _():
    for ref, value in zip(state, tile.start((rows, 1))):
      ref[...] = value

  logits = [values[branch] for branch in range(n)]  # n x [rows, columns]
  if head:
    logits = [
      jnp.dot(x, head[0][...], preferred_element_type=jnp.float32)
      for x in logits
    ]
  after = tile.update(
    tile.State(*(ref[...] for ref in state)),
    logits,
    [scalars[branch] for branch in range(n)],
    scalars[n],
    (frames[:, 0:1], frames[:, 1:2]),
    block * columns,
    codes,
  )
  for ref, value in zip(state, after):
    ref[...] = value

  @pl.when(block == pl.num_programs(1) - 1)
  def _():
    order = jax.lax.bitcast_convert_type(frames[:, 2:3], jnp.float32)
    picked = tile.finish(after, order, scalars[n + 1], rank)
    for column, value in enumerate(picked):
      out[:, column : column + 1] = value
