"""The step of one run on several sets of devices, in one table."""

import dataclasses

from stemgen_jax import text_tables
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.planning import dry_run
from stemgen_jax.training.planning.hardware import Hardware

Fleet = tuple[Hardware, int]

_PASSES = 16


def fitted(config: TrainConfig, fleet: Fleet) -> dry_run.Plan:
  """Return the plan on a set of devices, with as few passes as fit.

  The batch is split over the devices; it grows to their next multiple.
  """
  device, count = fleet
  config = dataclasses.replace(
    config, mesh_data=count, batch=-(-config.batch // count) * count
  )
  own = config.batch // count  # examples of a device
  for passes in range(config.accumulate, min(own, _PASSES) + 1):
    if own % passes == 0:
      plan = dry_run.plan(dataclasses.replace(config, accumulate=passes))
      if plan.fits(device):
        return plan
  return dry_run.plan(config)


def report(config: TrainConfig, fleets: list[Fleet]) -> str:
  """Return the table; the time is that of all examples of the run."""
  examples = config.steps * config.batch
  rows = []
  for device, count in fleets:
    plan = fitted(config, (device, count))
    seconds = plan.seconds(device)
    sent = sum(x.sent_bytes for x in plan.collectives)
    steps = examples / plan.config.batch
    rows.append(
      (
        f"{count} x {device.name}",
        str(plan.config.batch),
        str(plan.config.accumulate),
        f"{plan.memory.total / 1e9:.1f} of {device.memory / 1e9:.0f}",
        "yes" if plan.fits(device) else "no",
        f"{sent / 1e6:.0f}",
        "{:.3f} - {:.3f}".format(*seconds),
        "{:.1f} - {:.1f}".format(*(x * steps / 3600 for x in seconds)),
      )
    )
  names = ("devices", "batch", "passes", "GB each", "fits", "MB sent")
  names += ("s per step", f"hours for {examples / 1e6:g} M examples")
  return text_tables.aligned(rows, names)
