"""Pick candidates by a fused kernel or by the reference implementation."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

from stemgen_jax.sampling.kernels import reference

Picks = reference.Picks

_LAUNCHERS = ("reference", "mosaic_tpu", "mosaic_gpu")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
  """Choice of a kernel and its block sizes.

  Attributes:
    launcher: "reference", plain jnp; or "mosaic_tpu" or "mosaic_gpu", the
      fused kernel.
    head: include the model's head in the kernel, so that logits never reach
      memory; not for "mosaic_gpu".
    frames: frames per block; 0 for the launcher's default.
    codes: codes per block; 0 for the launcher's default.
    interpret: run the kernel on any backend, slowly, for tests.

  Raises:
    ValueError: the launcher is unknown, does not include the head, or needs a
      newer jax.
  """

  launcher: str = "reference"
  head: bool = False
  frames: int = 0
  codes: int = 0
  interpret: bool = False

  def __post_init__(self):
    if self.launcher not in _LAUNCHERS:
      raise ValueError(
        f"unknown kernel {self.launcher!r}: expected one of "
        f"{', '.join(_LAUNCHERS)}"
      )
    if self.head and self.launcher == "mosaic_gpu":
      raise ValueError(
        "head=True: the kernel 'mosaic_gpu' begins after the head; expected "
        "head=False"
      )
    if self.launcher == "mosaic_gpu" and jax.__version_info__ < (0, 11):
      raise ValueError(
        f"the kernel 'mosaic_gpu' needs jax 0.11 or newer, this is "
        f"{jax.__version__}: install it (Python 3.12 or newer), or choose "
        "'reference'"
      )


# The default on every backend: the fused kernels were interpreted, lowered and
# compiled, but never run on an accelerator.
REFERENCE = Kernel()


def pick(
  kernel: Kernel,
  values: Float[Array, "nb t w"],
  weights: Float[Array, " n"],
  temperature: Float[Array, ""],
  keys: Key[Array, "b t"],
  order: Float[Array, "b t"],
  w_confidence: Float[Array, ""],
  *,
  rank: str,
  codes: int,
  head: Float[Array, "w v"] | None = None,
  top: tuple[Int[Array, ""], Float[Array, ""]] | None = None,
) -> Picks:
  """Mix the branches (eq. 3 or nested), draw a code and rank it.

  All arithmetic after the head is in float32. The noise is bit-identical to
  `noise.gumbel(keys, codes)` for every kernel and block size, and so are the
  codes except where two candidates tie within the last bits of a sum.

  Args:
    kernel: kernel to use; the reference where there is a top-k or top-p.
    values: logits of n branches, one branch's batch after the other, w = v; or
      the input of `head`, w = d.
    weights: weights of the branches.
    temperature: divisor of the mixed logits.
    keys: keys of each frame's noise.
    order: see `ranking.rank`.
    w_confidence: see `ranking.rank`.
    rank: form of the rank.
    codes: number of codes; logits beyond are ignored.
    head: head of the model, if it has not been applied.
    top: top-k and top-p, see `reference.truncate`; None for neither.
  """
  # A top-k or top-p needs all codes of a frame sorted before one is drawn,
  # which one pass over the codes cannot do.
  if kernel.launcher == "reference" or top is not None:
    if head is not None:
      values = jnp.einsum(
        "btd,dv->btv", values, head, preferred_element_type=jnp.float32
      )
    return reference.pick(
      values,
      weights,
      temperature,
      keys,
      order,
      w_confidence,
      rank=rank,
      codes=codes,
      top=top,
    )
  scalars = jnp.stack([*weights, temperature, w_confidence])  # [n + 2]
  # One array of three columns in and out: a TPU pads each to 128 columns.
  frames = jnp.concatenate(
    [
      jax.random.key_data(keys),
      jax.lax.bitcast_convert_type(order, jnp.uint32)[..., None],
    ],
    axis=-1,
  )
  picked = _launch(
    kernel,
    scalars.astype(jnp.float32),
    frames.reshape(-1, 3),  # [b * t, 3]
    values.reshape(len(weights), keys.size, values.shape[-1]),
    head,
    rank,
    codes,
  )
  # [b * t, 3] to three arrays [b, t].
  chosen, log_p, ranks = jnp.moveaxis(picked.reshape(*keys.shape, 3), -1, 0)
  return Picks(chosen.astype(jnp.int32), log_p, ranks)


def _launch(
  kernel: Kernel,
  scalars: Float[Array, " scalars"],
  frames: UInt32[Array, "r 3"],
  values: Float[Array, "n r w"],
  head: Float[Array, "w v"] | None,
  rank: str,
  codes: int,
) -> Float[Array, "r 3"]:
  # Launchers are imported on use: mosaic_gpu needs jax 0.11.
  if kernel.launcher == "mosaic_gpu":
    from stemgen_jax.sampling.kernels import mosaic_gpu

    return mosaic_gpu.launch(
      scalars,
      frames,
      values,
      rank,
      codes,
      codes_block=kernel.codes or mosaic_gpu.CODES,
      interpret=kernel.interpret,
    )
  from stemgen_jax.sampling.kernels import mosaic_tpu

  block = mosaic_tpu.BLOCK if head is None else mosaic_tpu.HEAD_BLOCK
  return mosaic_tpu.launch(
    scalars,
    frames,
    values,
    head,
    rank,
    codes,
    frames_block=kernel.frames or block[0],
    codes_block=kernel.codes or block[1],
    interpret=kernel.interpret,
  )
