"""The kernel on NVIDIA GPUs: Pallas with Mosaic GPU, which needs jax 0.11."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Float, UInt32

from stemgen_jax.sampling.kernels import tile

CODES = 1024
_THREADS = 128  # of a warpgroup, which processes one frame


def launch(
  scalars: Float[Array, " scalars"],
  frames: UInt32[Array, "r 3"],
  logits: Float[Array, "n r v"],
  rank: str,
  codes: int,
  *,
  codes_block: int,
  interpret: bool = False,
) -> Float[Array, "r 3"]:
  """Run the kernel, one frame per warpgroup; see `mosaic_tpu.launch`.

  Args:
    scalars: weights of the branches, temperature, w_confidence.
    frames: per frame the two words of its key and the bits of its order.
    logits: logits of the branches; copied where the blocks do not divide v.
    rank: see `ranking.rank`.
    codes: number of codes.
    codes_block: codes per block, a multiple of 128.
    interpret: run on any backend.

  Returns:
    Per frame the code, its log-probability and its rank.
  """
  n, r, v = logits.shape
  columns = min(codes_block, v + -v % _THREADS)
  logits = jnp.pad(logits, ((0, 0), (0, 0), (0, -v % columns)))

  # Outside the kernel, which cannot bitcast a scalar.
  order = jax.lax.bitcast_convert_type(frames[:, 2], jnp.float32)

  def kernel(scalars: Any, frames: Any, order: Any, logits: Any, out: Any):
    row = jax.lax.axis_index("frame")
    weights = [scalars[branch] for branch in range(n)]
    # Unrolled by Python: the number of blocks is static.
    state = tile.start(())
    for first in range(0, codes, columns):
      block = slice(first, first + columns)
      state = tile.update(
        state,
        [logits[branch, row, block] for branch in range(n)],
        weights,
        scalars[n],
        (frames[row, 0], frames[row, 1]),
        first,
        codes,
      )
    picked = tile.finish(state, order[row], scalars[n + 1], rank)
    for column, value in enumerate(picked):
      out[row, column] = value

  return plgpu.kernel(
    kernel,
    out_type=jax.ShapeDtypeStruct((r, 3), jnp.float32),
    grid=(r,),
    grid_names=("frame",),
    interpret=_interpret() if interpret else None,
  )(scalars, frames, order, logits)


def _interpret() -> Any:
  # The type stubs of jax 0.10 lack it.
  return plgpu.InterpretGPUParams()  # pyright: ignore[reportAttributeAccessIssue]
