"""The pass on TPUs: Pallas with Mosaic."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float, UInt32

from stemgen_jax.sampling.kernels import tile

BLOCK = (64, 1024)  # frames, codes
# Every block of frames reads the whole head: more frames at once, fewer bytes.
# Three branches of width 1024 fill the memory of a v5e's core.
HEAD_BLOCK = (512, 256)


def launch(
  numbers: Float[Array, " n+2"],
  frames: UInt32[Array, "r 3"],
  values: Float[Array, "n r v"] | Float[Array, "n r d"],
  head: Float[Array, "d v"] | None,
  rank: str,
  codes: int,
  *,
  frames_block: int,
  codes_block: int,
  interpret: bool = False,
) -> Float[Array, "r 3"]:
  """Runs the pass, `frames_block` frames by `codes_block` codes at a time.

  Args:
    numbers: weights of the branches, temperature, w_confidence.
    frames: of each frame the two words of its key, and its order's bits.
    values: logits of the branches, in any floating dtype; or what `head` turns
      into logits, block by block on the chip.
    head: the model's.
    rank: see `ranking.rank`.
    codes: so many are legal.
    frames_block: a multiple of 8; more frames than there are is all of them.
    codes_block: a multiple of 128; more codes than there are is all of them.
    interpret: runs on any backend.

  Returns:
    Of each frame the code, its log-probability and its rank.
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
    scratch_shapes=[pltpu.VMEM((rows, 1), jnp.float32)]
    * len(tile.State._fields),
    compiler_params=pltpu.CompilerParams(
      dimension_semantics=("parallel", "arbitrary")
    ),
    interpret=interpret,
  )(numbers, frames, *operands)


def _kernel(
  numbers: Any,
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

  logits = [values[branch] for branch in range(n)]
  if head:
    logits = [
      jnp.dot(x, head[0][...], preferred_element_type=jnp.float32)
      for x in logits
    ]
  after = tile.update(
    tile.State(*(ref[...] for ref in state)),
    logits,
    [numbers[branch] for branch in range(n)],
    numbers[n],
    (frames[:, 0:1], frames[:, 1:2]),
    block * columns,
    codes,
  )
  for ref, value in zip(state, after):
    ref[...] = value

  @pl.when(block == pl.num_programs(1) - 1)
  def _():
    order = jax.lax.bitcast_convert_type(frames[:, 2:3], jnp.float32)
    picked = tile.finish(after, order, numbers[n + 1], rank)
    for column, value in enumerate(picked):
      out[:, column : column + 1] = value
