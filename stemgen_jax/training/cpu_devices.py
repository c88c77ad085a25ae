"""CPU devices of a run: one per core, each with a copy of the state.

Two devices that each take half of a batch train faster than one with two
threads, whose threads wait for each other in many small operations.
"""

import os
import pathlib
from typing import Any

from stemgen_jax.training.config import TrainConfig

# Machines with more cores than this have not been measured.
_MOST = 8


def choose(
  config: TrainConfig,
  wanted: int,
  *,
  processes: bool,
  out: str | os.PathLike | None = None,
) -> int:
  """Return the number of CPU devices of a run.

  No JAX backend is started, and jax is not loaded before an error.

  Args:
    config: configuration of the run.
    wanted: value of `--cpu_devices`; 0 for the number that the run was
      started with, or for a new run one device per core where the batch can be
      split over them, otherwise 1.
    processes: the run has several processes, or other devices than CPUs.
    out: folder of the run, which may be new.

  Raises:
    ValueError: `wanted` does not suit the run.
  """
  rows = config.batch // config.accumulate
  if wanted < 0 or (wanted and rows % wanted):
    raise ValueError(
      f"--cpu_devices={wanted}: expected a divisor of the {rows} examples of "
      "a pass (config.batch / config.accumulate), or 0 for one per core"
    )
  meshed = config.mesh_data or config.mesh_model > 1
  if wanted > 1 and (meshed or processes):
    raise ValueError(
      f"--cpu_devices={wanted}: expected 1 in a run with a mesh (mesh_data="
      f"{config.mesh_data}, mesh_model={config.mesh_model}) or with "
      "--coordinator"
    )
  if wanted or meshed or processes:
    return wanted or 1
  recorded = _recorded(out) if out else 0
  if recorded and rows % recorded == 0:
    return recorded
  cores = (
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
  )
  return cores if cores <= _MOST and rows % cores == 0 else 1


def _recorded(out: str | os.PathLike) -> int:
  """Return the CPU devices of the last start of a run; 0 for a new run."""
  log = pathlib.Path(out, "log.jsonl")
  if not log.is_file():
    return 0
  from stemgen_jax.training.metrics import read_log  # imports jax

  for line in reversed(read_log(log)):
    if line["kind"] == "start":
      # Logs of earlier versions have only "2 x cpu".
      count, _, kind = line.get("devices", "").partition(" x ")
      return line.get("copies", int(count) if kind == "cpu" else 0)
  return 0


def start(devices: int) -> int:
  """Create the devices, before anything else uses JAX.

  Returns:
    `devices`; 1 on other backends, or where JAX_NUM_CPU_DEVICES or XLA_FLAGS
    set another number, for a mesh.
  """
  if devices == 1:
    return 1
  import jax

  settings: Any = jax.config
  forced = "device_count" in os.environ.get("XLA_FLAGS", "")
  if settings.jax_num_cpu_devices == -1 and not forced:
    jax.config.update("jax_num_cpu_devices", devices)
  on_cpu = jax.default_backend() == "cpu" and jax.process_count() == 1
  return devices if on_cpu and jax.device_count() == devices else 1
