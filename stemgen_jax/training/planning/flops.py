"""Floating-point operations of a training step, by formula."""

from typing import NamedTuple

from stemgen_jax.training.config import TrainConfig


class StepFlops(NamedTuple):
  """Operations of one step, over all devices.

  Attributes:
    useful: Of the forward and the backward pass: what shares of a device's
      peak are counted in.
    recomputed: Of what the backward pass computes again, see
      `ModelConfig.remat`.
  """

  useful: float
  recomputed: float


def step_flops(config: TrainConfig) -> StepFlops:
  """Matrix products alone: two operations for a product and its addition.

  The backward pass has two products for each of the forward pass: one for the
  gradient of either factor.
  """
  model = config.model
  d, t, f = model.width, model.window, model.mlp
  passes = 2 if config.mask.complementary else 1
  frames = config.batch * t * passes
  attention = frames * model.depth * 4 * t * d
  blocks = frames * model.depth * (8 * d * d + 6 * d * f)
  head = frames * 2 * d * model.codes
  rows = 0
  if model.embedding == "codebook":
    # Of the codebooks' projection, once a pass; they have no gradient.
    rows = 2 * model.levels * model.codes * model.latent * (d // 2)
    rows *= config.accumulate * passes
  again = {
    "none": 0,
    "dots": attention,
    "full": attention + blocks,
  }[model.remat]
  return StepFlops(3 * (attention + blocks + head) + 2 * rows, again)
