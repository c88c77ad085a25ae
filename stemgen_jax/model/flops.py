"""Floating-point operations of a pass of the model, by formula."""

from typing import NamedTuple

from stemgen_jax.model.config import SPECTRUM_BANDS, ModelConfig
from stemgen_jax.model.shapes import AVERAGES


class PassFlops(NamedTuple):
  """Operations of one pass over one window; a multiply-add counts as two.

  Attributes:
    attention: scores and weighted sums.
    blocks: kernels of the blocks.
    head: head of the active level.
    table: projection of the codebooks, once for a whole batch.
    context: averages and projection of the context's spectrum.
  """

  attention: int
  blocks: int
  head: int
  table: int
  context: int = 0


def pass_flops(config: ModelConfig) -> PassFlops:
  """Count the matrix products of a pass; the rest is small."""
  d, t = config.width, config.window
  table = 0
  if config.embedding == "codebook":
    table = 2 * config.levels * config.codes * config.latent * (d // 2)
  context = 0
  if config.context == "spectrum":
    # Averages of all bands, by products with [t, t]; then the projection.
    n = len(AVERAGES)
    context = 2 * t * SPECTRUM_BANDS * (n * t + (1 + n) * (d // 2))
  return PassFlops(
    attention=t * config.depth * 4 * t * d,
    # Four square kernels; gate, value and output of the SwiGLU.
    blocks=t * config.depth * (8 * d * d + 6 * d * config.mlp),
    head=t * 2 * d * config.codes,
    table=table,
    context=context,
  )
