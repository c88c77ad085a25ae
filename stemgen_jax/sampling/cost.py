"""The cost of a take: passes of the model and their operations."""

from collections.abc import Iterable

import numpy as np

from stemgen_jax.model import flops
from stemgen_jax.model.config import ModelConfig
from stemgen_jax.sampling import guidance
from stemgen_jax.sampling import settings as settings_lib


def passes(
  settings: settings_lib.Settings,
  config: ModelConfig,
  levels: Iterable[int] | None = None,
) -> int:
  """Count the passes of the model for one window of one take.

  Args:
    settings: settings of the take.
    config: configuration of the model.
    levels: levels to decode; all by default.

  Raises:
    ValueError: see `guidance.branches`.
  """
  total = 0
  for level in range(config.levels) if levels is None else levels:
    steps = settings.steps_at(level)
    each = len(
      guidance.branches(settings, tuple(config.conditions), level).weights
    )
    strength = guidance.strength(
      np.arange(steps, dtype=np.float32),
      np.float32(steps),
      np.array(settings.guidance_interval, np.float32),
      np.array(settings.guidance_ramp, np.float32),
    )
    # A guided step runs every branch, an unguided step one.
    guided = int((np.asarray(strength) != 0).sum())
    total += guided * each + steps - guided
  return total


def pass_flops(config: ModelConfig) -> float:
  """Return the floating-point operations of one pass over one window."""
  return float(sum(flops.pass_flops(config)))
