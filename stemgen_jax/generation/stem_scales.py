"""The scales of a stem's segments, for codecs that have them.

A model with `ModelConfig.scale_frames` predicts them next to the codes; for
others they are derived from the context.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from stemgen_jax.codec import scales as scales_lib
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.take import Take
from stemgen_jax.model import ModelConfig, scales


def derived(
  metadata: dict[str, Any],
  named: GenerationRequest | Take,
  context: EncodedContext,
  reference_db: float,
) -> Float32[np.ndarray, " segments"] | None:
  """Return scales that follow the context; None for a codec without scales.

  Args:
    metadata: metadata of the weights.
    named: has the instrument of the stem, or its role without one.
    context: encoded context of the stem.
    reference_db: loudness of the contexts of the training, dB of full scale.
  """
  if not context.framing.segment:
    return None
  ratios = metadata.get("scale_ratio") or {}
  if not named.stem:
    ratios = metadata.get("roles", {}).get("scale_ratio") or ratios
  return scales_lib.of_stem(
    np.array(context.scales, np.float32),
    named.stem or named.role,
    ratios,
    10 ** (reference_db / 20),
  )


def join(
  config: ModelConfig,
  codes: np.ndarray,
  of_segments: Sequence[float] | Float[np.ndarray, " segments"] | None,
) -> np.ndarray:
  """Return what a model reads: codes and, if it reads them, scale tokens.

  Args:
    config: configuration of the model.
    codes: codes or spectrum of all frames, [t, ...].
    of_segments: scales of some segments, from the first one on; the other
      segments are silent.
  """
  if not config.scale_frames:
    return codes
  all_scales = np.zeros(-(-len(codes) // config.scale_frames))
  if of_segments is not None:
    all_scales[: len(of_segments)] = of_segments
  return scales.join(codes, all_scales, config.scale_frames)


def split(
  config: ModelConfig, columns: Int[np.ndarray, "t columns"]
) -> tuple[Int[np.ndarray, "t q"], Float32[np.ndarray, " segments"] | None]:
  """Return codes, and scales if the model predicts them."""
  if not config.scale_frames:
    return columns, None
  return scales.split(columns, config.scale_frames)


def join_mask(
  config: ModelConfig, edit_mask: Bool[np.ndarray, "t q"]
) -> Bool[np.ndarray, "t columns"]:
  """Mask scales, too, of segments whose frames are all sampled at level 0."""
  if not (size := config.scale_frames):
    return edit_mask
  first = range(0, len(edit_mask), size)
  whole = np.logical_and.reduceat(edit_mask[:, 0], first)  # [segments]
  of_frames = np.repeat(whole, size)[: len(edit_mask), None]
  return np.concatenate([edit_mask, of_frames], axis=1)
