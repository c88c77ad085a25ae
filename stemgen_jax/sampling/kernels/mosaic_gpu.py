"""The pass on NVIDIA GPUs: Pallas with Mosaic GPU, which needs jax 0.11."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Float, UInt32

from stemgen_jax.sampling.kernels import tile

CODES = 1024
_THREADS = 128  # of a warpgroup, which has one frame


def launch(
  numbers: Float[Array, " n+2"],
  frames: UInt32[Array, "r 3"],
  logits: Float[Array, "n r v"],
  rank: str,
  codes: int,
  *,
  codes_block: int,
  interpret: bool = False,
) -> Float[Array, "r 3"]:
  """Runs the pass, one frame in each warpgroup; see `mosaic_tpu.launch`.

  Args:
    numbers: weights of the branches, temperature, w_confidence.
    frames: of each frame the two words of its key, and its order's bits.
    logits: of the branches; copied where the blocks do not divide v.
    rank: see `ranking.rank`.
    codes: so many are legal.
    codes_block: a multiple of 128.
    interpret: runs on any backend.

  Returns:
    Of each frame the code, its log-probability and its rank.
  """
  n, r, v = logits.shape
  columns = min(codes_block, v + -v % _THREADS)
  logits = jnp.pad(logits, ((0, 0), (0, 0), (0, -v % columns)))

  # Here, as a kernel has no bits of a single number.
  order = jax.lax.bitcast_convert_type(frames[:, 2], jnp.float32)

  def kernel(numbers: Any, frames: Any, order: Any, logits: Any, out: Any):
    row = jax.lax.axis_index("frame")
    weights = [numbers[branch] for branch in range(n)]
    state = tile.start(())
    for first in range(0, codes, columns):
      block = slice(first, first + columns)
      state = tile.update(
        state,
        [logits[branch, row, block] for branch in range(n)],
        weights,
        numbers[n],
        (frames[row, 0], frames[row, 1]),
        first,
        codes,
      )
    picked = tile.finish(state, order[row], numbers[n + 1], rank)
    for column, value in enumerate(picked):
      out[row, column] = value

  return plgpu.kernel(
    kernel,
    out_type=jax.ShapeDtypeStruct((r, 3), jnp.float32),
    grid=(r,),
    grid_names=("frame",),
    interpret=_interpret() if interpret else None,
  )(numbers, frames, order, logits)


def _interpret() -> Any:
  # The types of jax 0.10 do not have it.
  return plgpu.InterpretGPUParams()  # pyright: ignore[reportAttributeAccessIssue]
