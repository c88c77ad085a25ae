"""Candidates of a level by the fused pass, or by the plain path."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

from stemgen_jax.sampling.kernels import reference

Picks = reference.Picks

_LAUNCHERS = ("reference", "mosaic_tpu", "mosaic_gpu")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
  """How candidates are picked.

  Attributes:
    launcher: "reference" is the plain path, "mosaic_tpu" and "mosaic_gpu" are
      the fused pass.
    head: the pass begins before the model's head, so that logits never reach
      memory; the launcher "mosaic_gpu" has no such pass.
    frames: at once, 0 for what suits the launcher.
    codes: at once, 0 for what suits the launcher.
    interpret: runs the pass on any backend, slowly, as tests do.

  Raises:
    ValueError: no launcher has this name, or it has no such pass, or needs a
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
        f"no kernel is called {self.launcher!r}: expected one of "
        f"{', '.join(_LAUNCHERS)}"
      )
    if self.head and self.launcher == "mosaic_gpu":
      raise ValueError(
        "head=True: the kernel 'mosaic_gpu' begins after the head; expected "
        "head=False"
      )
    if self.launcher == "mosaic_gpu" and jax.__version_info__ < (0, 11):
      raise ValueError(
        f"the kernel 'mosaic_gpu' needs jax 0.11 or newer, here is "
        f"{jax.__version__}: install it (Python 3.12 or newer), or take "
        "'reference'"
      )


REFERENCE = Kernel()


def for_backend() -> Kernel:
  """The fused pass on TPUs, the plain path elsewhere.

  The pass for GPUs has been interpreted and lowered, but not yet compiled or
  run on one: it is there for those who ask for it.
  """
  if jax.default_backend() == "tpu":
    return Kernel(launcher="mosaic_tpu")
  return REFERENCE


def pick(
  kernel: Kernel,
  values: Float[Array, "nb t v"] | Float[Array, "nb t d"],
  weights: Float[Array, " n"],
  temperature: Float[Array, ""],
  keys: Key[Array, "b t"],
  order: Float[Array, "b t"],
  w_confidence: Float[Array, ""],
  *,
  rank: str,
  codes: int,
  head: Float[Array, "d v"] | None = None,
  top: tuple[Int[Array, ""], Float[Array, ""]] | None = None,
) -> Picks:
  """Mixes the branches (eq. 3 or nested), draws a code and ranks it.

  In float32 from the mix on. The noise is `noise.gumbel(keys, codes)` to the
  bit, whatever the kernel and its blocks, and so are the codes but where two
  candidates tie within the last bits of a sum. A top-k or top-p needs all of a
  frame's codes sorted before the first is drawn, which one pass cannot do:
  then the plain path is taken.

  Args:
    kernel: how.
    values: logits of all branches, one branch's batch after the other; or,
      with `head`, what the head turns into logits.
    weights: of the branches.
    temperature: divides the mixed logits.
    keys: of each frame's noise.
    order: see `ranking.rank`.
    w_confidence: see `ranking.rank`.
    rank: form of the rank.
    codes: so many codes are legal; logits beyond them are of none.
    head: what is left of the model to be run.
    top: top-k and top-p, see `reference.truncate`; None where there is neither.
  """
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
  numbers = jnp.stack([*weights, temperature, w_confidence])
  # One array in and one out, as a TPU pads rows of one number to 128.
  frames = jnp.concatenate(
    [
      jax.random.key_data(keys),
      jax.lax.bitcast_convert_type(order, jnp.uint32)[..., None],
    ],
    axis=-1,
  )
  picked = _launch(
    kernel,
    numbers.astype(jnp.float32),
    frames.reshape(-1, 3),
    values.reshape(len(weights), keys.size, values.shape[-1]),
    head,
    rank,
    codes,
  )
  chosen, log_p, ranks = jnp.moveaxis(picked.reshape(*keys.shape, 3), -1, 0)
  return Picks(chosen.astype(jnp.int32), log_p, ranks)


def _launch(
  kernel: Kernel,
  numbers: Float[Array, " n+2"],
  frames: UInt32[Array, "r 3"],
  values: Float[Array, "n r v"] | Float[Array, "n r d"],
  head: Float[Array, "d v"] | None,
  rank: str,
  codes: int,
) -> Float[Array, "r 3"]:
  # Imported where they run: the one for GPUs needs a newer jax.
  if kernel.launcher == "mosaic_gpu":
    from stemgen_jax.sampling.kernels import mosaic_gpu

    return mosaic_gpu.launch(
      numbers,
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
    numbers,
    frames,
    values,
    head,
    rank,
    codes,
    frames_block=kernel.frames or block[0],
    codes_block=kernel.codes or block[1],
    interpret=kernel.interpret,
  )
