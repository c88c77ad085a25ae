"""The cost of a take: passes of the model and their operations."""

from collections.abc import Sequence

import numpy as np

from stemgen_jax.model import flops
from stemgen_jax.model.config import ModelConfig
from stemgen_jax.sampling import guidance, schedule
from stemgen_jax.sampling import settings as settings_lib


def passes(
  settings: settings_lib.Settings,
  config: ModelConfig,
  masked: Sequence[int] | None = None,
) -> int:
  """Count the passes of the model for one window of one take.

  Args:
    settings: settings of the take.
    config: configuration of the model.
    masked: frames to sample at each level, and at last the segments whose scale
      is sampled, if there are scales; by default the whole window.

  Raises:
    ValueError: see `guidance.branches`.
  """
  total = 0
  conditions = tuple(config.conditions)
  if masked is None:
    masked = [config.window] * config.levels
    if config.scale_frames:
      masked.append(config.window // config.scale_frames)
  for level in config.stages:
    frames, steps = masked[level], settings.steps_at(level)
    each = len(guidance.branches(settings, conditions, level).weights)
    number = np.arange(steps)
    strength = guidance.strength(
      number,
      steps,
      np.array(settings.guidance_interval, np.float32),
      np.array(settings.guidance_ramp, np.float32),
    )
    left = schedule.masked_after(
      np.arange(steps + 1), steps, frames, settings.schedule
    )
    # A guided step runs every branch, an unguided step one, and a step that
    # fixes no frame none.
    branches = np.where(strength != 0, each, 1)
    total += int(branches[np.diff(left) < 0].sum())
  return total


def pass_flops(config: ModelConfig) -> float:
  """Return the floating-point operations of one pass over one window."""
  return float(sum(flops.pass_flops(config)))
