"""Long work: progress bars and elapsed time."""

import contextlib
import os
import pathlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import tqdm

T = TypeVar("T")
_IMPORTED = time.monotonic()


def bar(
  iterable: Iterable[T] | None = None,
  *,
  seconds: float = 0.2,
  log_seconds: float = 30.0,
  **options: Any,
) -> "tqdm.tqdm[T]":
  """Return a progress bar with rate and time left.

  Args:
    iterable: items to count, if any.
    seconds: interval between updates on a terminal.
    log_seconds: interval between lines where the output is not a terminal.
    **options: passed on to tqdm, such as desc, total, initial and unit.
  """
  # In a log every update is a line of its own.
  interval = seconds if sys.stderr.isatty() else log_seconds
  # tqdm's stubs do not know that there may be nothing to iterate over.
  items: Any = iterable
  return tqdm.tqdm(items, mininterval=interval, **options)


def restart(bar: "tqdm.tqdm", done: int) -> None:
  """Count rate and time left of a bar from here on.

  The first step of a run waits for the compiler.

  Args:
    bar: the bar.
    done: number of steps that are done.
  """
  bar.initial = bar.last_print_n = done
  bar.start_t = bar.last_print_t = time.time()


@contextlib.contextmanager
def elapsed(work: str, seconds: float = 3.0) -> Iterator[None]:
  """Print the elapsed seconds of work that cannot count its steps.

  Args:
    work: description of the work, printed at its start.
    seconds: interval between the lines.
  """
  began, done = time.monotonic(), threading.Event()

  def report() -> None:
    while not done.wait(seconds):
      passed = time.monotonic() - began
      print(f"  {passed:.0f} s elapsed", flush=True)

  print(work, flush=True)
  thread = threading.Thread(target=report, daemon=True)
  thread.start()
  try:
    yield
  finally:
    done.set()
    thread.join()


def process_age() -> float:
  """Return the seconds since the start of this process.

  Where there is no /proc, those since the import of this module.
  """
  try:
    stat = pathlib.Path("/proc/self/stat").read_text(encoding="utf-8")
    # Field 22, in ticks since boot; field 2, a name, may contain spaces.
    ticks = int(stat.rpartition(")")[2].split()[19])
    booted = time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted - ticks / os.sysconf("SC_CLK_TCK")
  except (OSError, AttributeError):
    return time.monotonic() - _IMPORTED
