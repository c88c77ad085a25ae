"""Several processes that train one model: start, stop and failure.

Every process runs the same program on its own devices; one mesh spans them
all. Process 0 prints and writes the log.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils

from stemgen_jax import progress
from stemgen_jax.training.resolve import check_processes

# Seconds without an answer after which a process counts as lost.
_HEARTBEAT = 60


def start(
  coordinator: str | None = None,
  processes: int | None = None,
  process: int | None = None,
) -> None:
  """Join the processes of a run, before anything else uses JAX.

  Args:
    coordinator: HOST:PORT of process 0, the same in all processes; "auto"
      where JAX finds all three by itself, on TPU pods, under SLURM and Open
      MPI; None for a run of one process.
    processes: number of processes.
    process: index of this process, from 0.

  Raises:
    ValueError: an argument is missing or out of range.
    ConnectionError: the other processes are not found.
  """
  check_processes(coordinator, processes, process)
  if not coordinator:
    return
  try:
    jax.distributed.initialize(
      None if coordinator == "auto" else coordinator,
      processes,
      process,
      heartbeat_timeout_seconds=_HEARTBEAT,
      # A process that failed must not wait for the others at exit.
      shutdown_timeout_seconds=_HEARTBEAT,
    )
  except ValueError as error:
    raise ValueError(
      "--coordinator=auto: JAX finds no TPU pod, SLURM step (srun) or Open "
      "MPI here; give --coordinator=HOST:PORT, --processes and --process "
      f"({error})"
    ) from error
  except RuntimeError as error:
    raise ConnectionError(
      f"--coordinator={coordinator}: the processes did not find each other "
      f"({_first_line(error)})"
    ) from error


def is_first() -> bool:
  """Return whether this process prints and writes the log."""
  return jax.process_index() == 0


@contextlib.contextmanager
def stop_signals() -> Iterator[progress.Stop]:
  """Turn SIGTERM and the first Ctrl-C, in any process, into a request to stop.

  Ask `should_stop` for it.
  """
  if jax.process_count() == 1:
    with progress.stop_signals() as stop:
      yield stop
    return
  # JAX itself handles SIGTERM and informs the other processes, so that a
  # Ctrl-C is passed on to it.
  with progress.stop_signals(
    signal.SIGINT, then=lambda: os.kill(os.getpid(), signal.SIGTERM)
  ) as stop:
    yield stop


def should_stop(stop: progress.Stop, step: int) -> bool:
  """Return whether to stop after this step, the same in every process.

  Every process has to call it once a step.
  """
  if jax.process_count() == 1:
    return stop.asked
  return multihost_utils.reached_preemption_sync_point(step)


@contextlib.contextmanager
def end_if_others_are_lost() -> Iterator[None]:
  """End this process with advice if work with another process fails."""
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if jax.process_count() == 1:
      raise
    print(
      f"\nstemgen-jax: error: process {jax.process_index()} of "
      f"{jax.process_count()} cannot continue: another process is gone or out "
      f"of reach ({_first_line(error)}); start all of them again, they resume "
      "from the last checkpoint",
      file=sys.stderr,
      flush=True,
    )
    # A normal exit would finish a checkpoint and sign off from the others,
    # and so wait for the process that is gone.
    os._exit(1)


def _first_line(error: Any) -> str:
  return str(error).partition("\n")[0]
