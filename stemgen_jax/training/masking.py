"""The training mask: the codes of the target that must be predicted."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from stemgen_jax.model.config import SCALES
from stemgen_jax.model.sharding import spec

# Number of the key of the scales, far from those of `jax.random.split`.
_OF_SCALES = 0x5EED03

RATIO_BINS = (15, 30, 50, 75, 100)
"""Upper edges, in percent, of the reported bins of mask ratios."""


def training_mask(
  key: Array,
  codes: Int[Array, "b t q"],
  mask_id: int,
  *,
  level: int | None = None,
  level_weights: tuple[float, ...] | None = None,
  span_share: float = 0.0,
  prefix_share: float = 0.0,
  hidden_share: float = 0.0,
  scale_frames: int = 0,
  scale_share: float = 0.0,
) -> tuple[Int[Array, "b t q"], Bool[Array, "b t"], Int[Array, " b"]]:
  """Mask a batch as the paper does (after SoundStorm, arXiv 2305.09636).

  Each example has an active level and a mask ratio p = cos(u), u ~ U[0, pi/2].
  At the active level each frame is masked with probability p, but at least
  one; coarser levels are clean, finer levels fully masked. In a share of the
  examples the masked frames are one run of round(p t) frames instead: the
  tasks of `regenerate` (span) and `extend` (prefix). In another share p = 1,
  as when decoding begins: nothing but context and conditions is known.

  In a share of the examples the scales are the active level. They are coarser
  than all others, and whole segments are masked as frames are elsewhere.

  Args:
    key: key of all draws.
    codes: codes of the target, with the scale tokens if there are any.
    mask_id: id of MASK.
    level: one active level for all examples, for validation.
    level_weights: probabilities of the levels, up to scale; uniform if None.
    span_share: share of the examples whose masked frames are a run anywhere.
    prefix_share: share of the examples whose masked frames are the last ones.
    hidden_share: share of the examples whose frames are all masked.
    scale_frames: `ModelConfig.scale_frames`.
    scale_share: share of the examples whose active level is `SCALES`.

  Returns:
    The masked codes; the frames masked at the active level, which alone count
    for the loss; and the active level of each example.
  """
  b, t, columns = codes.shape
  # Four are used, but runs of earlier versions drew from these five.
  keys = jax.random.split(key, 5)
  rows = spec("batch")
  if level is not None:
    levels = jnp.full((b,), level, out_sharding=rows)
  else:
    q = columns - (scale_frames > 0)
    weights = jnp.asarray(level_weights or (1.0,) * q, jnp.float32)
    # Inverse of the cumulative distribution: the number of edges passed.
    edges = jnp.cumsum(weights / weights.sum())[:-1]  # [q - 1]
    draw = jax.random.uniform(keys[0], (b,), out_sharding=rows)
    levels = (draw[:, None] >= edges[None]).sum(-1)  # [b]
  shares = span_share, prefix_share, hidden_share
  masked = _masked(keys, b, t, *shares)
  if scale_frames:
    keys = jax.random.split(jax.random.fold_in(key, _OF_SCALES), 4)
    if level is None:
      draw = jax.random.uniform(keys[0], (b,), out_sharding=rows)
      levels = jnp.where(draw < scale_share, SCALES, levels)
    segments = _masked(keys, b, t // scale_frames, *shares)
    frames = jnp.arange(t) // scale_frames
    segments = segments.at[:, frames].get(out_sharding=spec("batch", None))
    masked = jnp.where((levels == SCALES)[:, None], segments, masked)
  hidden = mask_codes(codes, masked, levels, mask_id, scale_frames)
  return hidden, masked, levels


def _masked(
  keys: Array,
  b: int,
  t: int,
  span_share: float,
  prefix_share: float,
  hidden_share: float,
) -> Bool[Array, "b t"]:
  """Mask some of t frames or segments; see `training_mask`."""
  rows, cells = spec("batch"), spec("batch", None)
  kind, place = jax.random.uniform(
    keys[3], (2, b), out_sharding=spec(None, "batch")
  )
  span, prefix = kind < span_share, kind >= 1 - prefix_share
  hidden = (kind >= span_share) & (kind < span_share + hidden_share)
  ratio = jnp.cos(
    jax.random.uniform(keys[1], (b,), out_sharding=rows) * (math.pi / 2)
  )
  ratio = jnp.where(hidden, 1.0, ratio)
  noise = jax.random.uniform(keys[2], (b, t), out_sharding=cells)
  # The frame of lowest noise is always masked.
  scattered = noise < jnp.maximum(ratio, noise.min(-1) + 1e-7)[:, None]

  length = jnp.maximum(jnp.round(ratio * t), 1)  # [b]
  # A span starts at any of the t - length + 1 frames, a masked end at the last.
  place = jnp.where(prefix, 1.0, place)
  start = jnp.floor(place * (t - length + jnp.where(prefix, 0, 1)))
  frames = jnp.arange(t)[None]  # [1, t]
  run = (frames >= start[:, None]) & (frames < (start + length)[:, None])

  return jnp.where((span | prefix)[:, None], run, scattered)  # [b, t]


def mask_codes(
  codes: Int[Array, "b t q"],
  masked: Bool[Array, "b t"],
  levels: Int[Array, " b"],
  mask_id: int,
  scale_frames: int = 0,
) -> Int[Array, "b t q"]:
  """Return the codes with MASK in the masked frames of the active level.

  Coarser levels stay clean, finer levels become MASK in every frame.
  """
  of_columns = column_levels(codes.shape[-1], scale_frames)
  depth = of_columns[None, None] - levels[:, None, None]  # [b, 1, q]
  unknown = (depth > 0) | ((depth == 0) & masked[:, :, None])  # [b, t, q]
  return jnp.where(unknown, mask_id, codes)


def column_levels(columns: int, scale_frames: int) -> Int[Array, " q"]:
  """Return the level of each column of codes; that of scales is the last."""
  levels = jnp.arange(columns)
  if scale_frames:
    levels = levels.at[SCALES].set(SCALES)
  return levels


def ratio_bin(masked: Bool[Array, "b t"]) -> Int[Array, " b"]:
  """Return the bin of `RATIO_BINS` of each example's share of masked frames.

  A share on an edge belongs to the bin below it.
  """
  # Both sides times t: integers compare exactly.
  percent = 100 * masked.sum(-1)
  edges = jnp.array(RATIO_BINS[:-1]) * masked.shape[-1]
  return (percent[:, None] > edges[None]).sum(-1)
