"""The training mask: which of the target's codes must be predicted."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from stemgen_jax.model.sharding import spec

RATIO_BINS = (15, 30, 50, 75, 100)
"""Upper edges, in percent, of the bins of mask ratios that are reported."""


def training_mask(
  key: Array,
  codes: Int[Array, "b t q"],
  mask_id: int,
  *,
  level: int | None = None,
  level_weights: tuple[float, ...] | None = None,
  span_share: float = 0.0,
  prefix_share: float = 0.0,
) -> tuple[Int[Array, "b t q"], Bool[Array, "b t"], Int[Array, " b"]]:
  """Masks a batch as the paper does (after SoundStorm, arXiv 2305.09636).

  Per example an active level, uniform over the levels, and a ratio
  p = cos(u), u ~ U[0, pi/2]. At the active level each frame is masked with
  probability p, at least one frame always; coarser levels are clean, finer
  ones all masked. In a share of the examples the masked frames are one run
  of round(p t) frames instead: what redoing a part (span) and going on
  (prefix known, the rest masked) ask of the model.

  Args:
    key: Decides everything.
    codes: The target's.
    mask_id: Id of MASK.
    level: The same active level for all, for validation.
    level_weights: Probabilities of the levels, up to scale.
    span_share: Share of the examples whose masked frames are a run anywhere.
    prefix_share: Share of the examples whose masked frames are the last.

  Returns:
    The masked codes; the frames that were masked at the active level, which
    alone count for the loss; the active level of each example.
  """
  b, t, q = codes.shape
  keys = jax.random.split(key, 5)
  rows, cells = spec("batch"), spec("batch", None)
  if level is not None:
    levels = jnp.full((b,), level, out_sharding=rows)
  else:
    weights = jnp.asarray(level_weights or (1.0,) * q, jnp.float32)
    edges = jnp.cumsum(weights / weights.sum())[:-1]
    draw = jax.random.uniform(keys[0], (b,), out_sharding=rows)
    levels = (draw[:, None] >= edges).sum(-1)
  ratio = jnp.cos(
    jax.random.uniform(keys[1], (b,), out_sharding=rows) * (math.pi / 2)
  )
  noise = jax.random.uniform(keys[2], (b, t), out_sharding=cells)
  # The frame of least noise is masked in any case.
  scattered = noise < jnp.maximum(ratio, noise.min(-1) + 1e-7)[:, None]

  length = jnp.maximum(jnp.round(ratio * t), 1)
  form, place = jax.random.uniform(
    keys[3], (2, b), out_sharding=spec(None, "batch")
  )
  span, prefix = form < span_share, form >= 1 - prefix_share
  place = jnp.where(prefix, 1.0, place)
  start = jnp.floor(place * (t - length + jnp.where(prefix, 0, 1)))
  frames = jnp.arange(t)
  run = (frames >= start[:, None]) & (frames < (start + length)[:, None])

  masked = jnp.where((span | prefix)[:, None], run, scattered)
  return hide(codes, masked, levels, mask_id), masked, levels


def hide(
  codes: Int[Array, "b t q"],
  masked: Bool[Array, "b t"],
  levels: Int[Array, " b"],
  mask_id: int,
) -> Int[Array, "b t q"]:
  """The codes with MASK in the masked frames of the active level.

  Coarser levels are clean, finer ones MASK in every frame. With `~masked` it
  is the complementary mask: what the one hides at the active level, the other
  shows.
  """
  depth = jnp.arange(codes.shape[-1]) - levels[:, None, None]  # [b, 1, q]
  hidden = (depth > 0) | ((depth == 0) & masked[:, :, None])
  return jnp.where(hidden, mask_id, codes)


def ratio_bin(masked: Bool[Array, "b t"]) -> Int[Array, " b"]:
  """The bin of `RATIO_BINS` that each example's share of masked frames is in.

  A share on an edge belongs to the bin below it.
  """
  percent = 100 * masked.sum(-1)  # times t, as whole numbers
  edges = jnp.array(RATIO_BINS[:-1]) * masked.shape[-1]
  return (percent[:, None] > edges).sum(-1)
