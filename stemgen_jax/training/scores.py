"""Sums of loss and hits of a batch, for the loss and for the log.

Sizes: b examples, t frames, q codec levels, v codes per level.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax.model.config import BEAT_PARTS, SCALES
from stemgen_jax.training.masking import RATIO_BINS, column_levels, ratio_bin

Metrics = dict[str, Array]


def cross_entropy(
  logits: Float[Array, "b t v"], codes: Int[Array, "b t"]
) -> Float[Array, "b t"]:
  """Return nats per token."""
  # A one-hot product: a gather is slower on CPU.
  hit = (
    jnp.arange(logits.shape[-1])[None, None] == codes[..., None]
  )  # [b, t, v]
  chosen = jnp.where(hit, logits, 0.0).sum(-1)  # [b, t]
  return jax.nn.logsumexp(logits, axis=-1) - chosen


def score(
  logits: Float[Array, "b t v"],
  target: Int[Array, "b t q"],
  masked: Bool[Array, "b t"],
  level: Int[Array, " b"],
  scale_frames: int = 0,
) -> Metrics:
  """Sum loss and hits over the masked tokens of the active levels.

  Args:
    logits: scores of the codes of each example's active level.
    target: codes to predict.
    masked: frames masked at the active level.
    level: active level of each example.
    scale_frames: `ModelConfig.scale_frames`.

  Returns:
    `loss` in nats, `correct` and `tokens`, each per active level as
    `level_...` [q] and per bin of mask ratios as `ratio_...` [5]; those of the
    scales, which these leave out, as `scale_...` [1].
  """
  active = (
    column_levels(target.shape[-1], scale_frames)[None] == level[:, None]
  )  # [b, columns]
  groups = {
    "level": active,
    "ratio": jnp.arange(len(RATIO_BINS))[None] == ratio_bin(masked)[:, None],
  }
  if scale_frames:
    groups = {
      "level": active[:, :SCALES],
      "ratio": groups["ratio"] & (level != SCALES)[:, None],
      "scale": active[:, SCALES:],
    }
  # The active level's codes, again without a gather.
  codes = jnp.where(active[:, None, :], target, 0).sum(-1)  # [b, t]
  per_frame = {
    "loss": cross_entropy(logits, codes),
    "correct": (logits.argmax(-1) == codes).astype(jnp.float32),
    "tokens": jnp.ones_like(masked, jnp.float32),
  }
  sums = {}
  for name, x in per_frame.items():
    each = jnp.where(masked, x, 0.0).sum(-1)[:, None]  # [b, 1]
    for group, member in groups.items():
      # [b, group] to [group]
      sums[f"{group}_{name}"] = jnp.where(member, each, 0.0).sum(0)
  return sums


def score_places(
  logits: Float[Array, "b t places"], place: Int[Array, "b t"]
) -> Metrics:
  """Sum loss and hits over the frames whose place in the bar is known.

  Args:
    logits: scores of the places.
    place: places of the frames, negative where they are unknown.

  Returns:
    `place_loss` in nats; `place_correct`, frames whose place is right, and
    `place_parts`, those whose part of the beat is, whatever the beat;
    `place_frames`, the number of frames that count.
  """
  known = place >= 0
  beats = logits.shape[-1] // BEAT_PARTS
  share = jax.nn.softmax(logits).reshape(*place.shape, beats, BEAT_PARTS)
  part = share.sum(2).argmax(-1)  # [b, t]
  each = {
    "loss": cross_entropy(logits, place),
    "correct": logits.argmax(-1) == place,
    "parts": part == place % BEAT_PARTS,
    "frames": jnp.ones_like(place),
  }
  return {
    f"place_{name}": jnp.where(known, x, 0).sum().astype(jnp.float32)
    for name, x in each.items()
  }
