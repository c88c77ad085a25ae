"""Several processes that train one model: how they start, stop and fail.

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

# Seconds until a process that no longer answers counts as lost.
_HEARTBEAT = 60


def start(
  coordinator: str | None = None,
  processes: int | None = None,
  process: int | None = None,
) -> None:
  """Makes this process one of several, before JAX is used for anything else.

  Args:
    coordinator: HOST:PORT of process 0, the same for all; "auto" where JAX
      finds all three by itself: on TPU pods, under SLURM and Open MPI; None
      for a run of one process.
    processes: How many there are.
    process: Which one this is, from 0.

  Raises:
    ValueError: one is missing or impossible.
    ConnectionError: the others are not found.
  """
  if not coordinator:
    if processes is not None or process is not None:
      raise ValueError(
        "--coordinator is missing: --processes and --process need the "
        "HOST:PORT of process 0, as --coordinator=10.0.0.1:1234"
      )
    return
  if coordinator == "auto":
    address = None
  else:
    address = coordinator
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
      raise ValueError(
        f"--coordinator={address}: expected HOST:PORT of process 0, or auto"
      )
    if processes is None or processes < 1:
      raise ValueError(
        f"--processes={processes}: expected how many processes there are"
      )
    if process is None or not 0 <= process < processes:
      raise ValueError(
        f"--process={process}: expected 0 to {processes - 1}, a different "
        "one for each process"
      )
  try:
    jax.distributed.initialize(
      address,
      processes,
      process,
      heartbeat_timeout_seconds=_HEARTBEAT,
      # The others of a failed process are not waited for.
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
  """Whether this process is the one that prints and writes."""
  return jax.process_index() == 0


class Stop:
  """A wish to stop, from a signal to any of the processes."""

  def __init__(self):
    self.asked = False

  def at(self, step: int) -> bool:
    """Whether to stop after this step: the same answer in every process.

    To be called once a step, by all.
    """
    if jax.process_count() == 1:
      return self.asked
    return multihost_utils.reached_preemption_sync_point(step)


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
  """Turns SIGTERM and the first Ctrl-C into a wish to stop."""
  stop = Stop()

  def ask(number: int, _: object) -> None:
    if stop.asked and number == signal.SIGINT:
      raise KeyboardInterrupt
    stop.asked = True
    if number == signal.SIGINT and jax.process_count() > 1:
      os.kill(os.getpid(), signal.SIGTERM)

  signals = [signal.SIGINT]
  if jax.process_count() == 1:
    # With several, JAX itself listens, and tells the other processes.
    signals.append(signal.SIGTERM)
  before = [signal.signal(number, ask) for number in signals]
  try:
    yield stop
  finally:
    for number, handler in zip(signals, before):
      signal.signal(number, handler)


@contextlib.contextmanager
def end_if_others_are_lost() -> Iterator[None]:
  """Ends this process, with what to do, where work with another one fails.

  At once: what a usual exit does, to finish a checkpoint and to take leave of
  the others, would wait for the one that is gone.
  """
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if jax.process_count() == 1:
      raise
    print(
      f"\nstemgen-jax: error: process {jax.process_index()} of "
      f"{jax.process_count()} cannot go on: another one is gone or out of "
      f"reach ({_first_line(error)}); start all of them again, they go on from "
      "the last checkpoint",
      file=sys.stderr,
      flush=True,
    )
    os._exit(1)


def _first_line(error: Any) -> str:
  return str(error).partition("\n")[0]
