"""Floating-point operations of a training step, by formula."""

from typing import NamedTuple

from stemgen_jax.model.flops import pass_flops
from stemgen_jax.training.config import TrainConfig


class StepFlops(NamedTuple):
  """Operations of one step, over all devices.

  Attributes:
    useful: forward and backward pass; the share of a device's peak counts
      these alone.
    recomputed: forward operations repeated by the backward pass, see
      `ModelConfig.remat`.
  """

  useful: float
  recomputed: float


def step_flops(config: TrainConfig) -> StepFlops:
  """Count the matrix products of a step, see `pass_flops`."""
  one = pass_flops(config.model)
  passes = 2 if config.mask.complementary else 1
  examples = config.batch * passes
  recomputed = {
    "none": 0,
    "dots": one.attention,  # Other matrix products are kept.
    "full": one.attention + one.blocks,
  }[config.model.remat]
  # Backward, each product becomes two, one for the gradient of either factor.
  # The codebooks are frozen: one product for the gradient of the projection.
  return StepFlops(
    3 * examples * (one.attention + one.blocks + one.head)
    # Features need no gradient.
    + 2 * examples * one.context
    + 2 * one.table * config.accumulate * passes,
    examples * recomputed,
  )
