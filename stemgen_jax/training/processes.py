"""Several processes that train one model: start, stop and failure.

Every process runs the same program on its own devices; one mesh spans them
all. Process 0 prints and writes the log.
"""

import contextlib
import ctypes
import math
import os
import pathlib
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from stemgen_jax import locks, signals
from stemgen_jax.training import watchdog
from stemgen_jax.training.resolve import check_processes

# Seconds without an answer after which JAX aborts all processes, without a
# word about which: `watchdog` notices and names a lost one before.
_HEARTBEAT = 300
_SHUTDOWN = 60  # seconds that a process waits for the others at its exit


def start(
  coordinator: str | None = None,
  processes: int | None = None,
  process: int | None = None,
  *,
  timeout: float = 300.0,
) -> None:
  """Join the processes of a run, before anything else uses JAX.

  Args:
    coordinator: HOST:PORT of process 0, the same in all processes; "auto"
      where JAX finds all three by itself, on TPU pods, under SLURM and Open
      MPI; None for a run of one process.
    processes: number of processes.
    process: index of this process, from 0.
    timeout: seconds after which this process exits with code 1 if some of the
      others have not joined.

  Raises:
    ValueError: an argument is missing or out of range.
    ConnectionError: the other processes are not found.
  """
  check_processes(coordinator, processes, process)
  if not coordinator:
    return
  who = f"process {process} of {processes}" if processes else "this process"

  def give_up() -> None:
    message = (
      f"stemgen-jax: error: --coordinator={coordinator}: {who} has not found "
      f"all others in {timeout:g} s; expected all to be started within "
      "--initialization_timeout, with the same --coordinator and --processes\n"
    )
    os.write(2, message.encode())
    os._exit(1)

  # JAX itself would abort the process.
  timer = threading.Timer(timeout, give_up)
  timer.daemon = True
  timer.start()
  try:
    jax.distributed.initialize(
      None if coordinator == "auto" else coordinator,
      processes,
      process,
      initialization_timeout=math.ceil(timeout) + _SHUTDOWN,
      heartbeat_timeout_seconds=_HEARTBEAT,
      shutdown_timeout_seconds=_SHUTDOWN,
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
  finally:
    timer.cancel()


@contextlib.contextmanager
def only_writer(out: str | os.PathLike) -> Iterator[None]:
  """Be the only run that writes a folder; process 0 holds the lock for all.

  Raises:
    BlockingIOError: another run is writing it; raised in every process.
  """
  with contextlib.ExitStack() as stack:
    refused = None
    if is_first():
      try:
        stack.enter_context(locks.only_writer(out, folder=True))
        # Signs of a run that was killed, before any process writes its own.
        shutil.rmtree(pathlib.Path(out, watchdog.FOLDER), ignore_errors=True)
      except OSError as error:
        refused = error
    everywhere = multihost_utils.broadcast_one_to_all(
      np.array(refused is not None)
    )
    if refused:
      raise refused
    if everywhere:
      raise BlockingIOError(f"{out}: process 0 cannot write it; see there")
    yield


def is_first() -> bool:
  """Return whether this process prints and writes the log."""
  return jax.process_index() == 0


@contextlib.contextmanager
def stop_signals() -> Iterator[signals.Stop]:
  """Turn SIGTERM and the first Ctrl-C, in any process, into a request to stop.

  Ask `should_stop` for it.
  """
  if jax.process_count() == 1:
    with signals.requests() as stop:
      yield stop
    return
  # JAX itself handles SIGTERM and informs the other processes. Its handler is
  # not Python's; it only sets a flag, and is called for every signal here.
  libc = ctypes.CDLL(None)
  libc.signal.restype = ctypes.c_void_p
  address = libc.signal(int(signal.SIGTERM), None)
  inform = ctypes.CFUNCTYPE(None, ctypes.c_int)(address or 0)

  def then() -> None:
    if address and address > 1:  # neither default nor ignored
      inform(signal.SIGTERM)

  with signals.requests(then=then) as stop:
    yield stop


def should_stop(stop: signals.Stop, step: int) -> bool:
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
