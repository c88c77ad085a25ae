"""Long work: progress bars and elapsed time."""

import contextlib
import io
import os
import pathlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

import tqdm

T = TypeVar("T")
LOG_SECONDS = 5.0
"""Interval between lines about takes in a log, and about compilation."""

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
  # tqdm's stubs do not know that there may be nothing to iterate over.
  items: Any = iterable
  if is_live():
    return tqdm.tqdm(items, mininterval=seconds, **options)
  if "bar_format" not in options:
    options["ncols"] = 0  # figures without a bar
  log: dict[str, Any] = {"file": _Lines(), "mininterval": log_seconds}
  return tqdm.tqdm(items, **log, **options)


def is_live() -> bool:
  """Return whether a bar can be redrawn: on a terminal, or in a notebook."""
  if sys.stderr is None:  # of a program without a console
    return False
  module = type(sys.stderr).__module__
  return sys.stderr.isatty() or module.startswith("ipykernel.")


class _Lines(io.TextIOBase):
  """Write every update of a bar to stderr as a line of its own."""

  encoding = "utf-8"

  def write(self, text: str) -> int:
    if (line := text.strip()) and sys.stderr is not None:
      with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)
    return len(text)


class Steps:
  """Count steps in a bar: called with those just done and with their total.

  When all are done the bar closes, and the next call begins another one. There
  is none while another bar counts larger units of work.

  Args:
    delay: seconds before the bar appears; where it cannot be redrawn, there is
      a line every `LOG_SECONDS`.
  """

  def __init__(self, delay: float = 2.0) -> None:
    self._delay = delay
    self._bar: tqdm.tqdm[Any] | None = self._new()

  def _new(self) -> "tqdm.tqdm[Any]":
    live = is_live()
    return bar(
      log_seconds=LOG_SECONDS,
      delay=self._delay if live else LOG_SECONDS,
      miniters=1,  # a call is for many steps
      leave=False,
      disable=bool(getattr(tqdm.tqdm, "_instances", ())),
      bar_format="{percentage:3.0f}%"
      + ("|{bar:40}|" if live else ",")
      + " {elapsed} elapsed, {remaining} left",
    )

  def __call__(self, done: int, total: int) -> None:
    """Count steps."""
    if self._bar is None:
      self._bar = self._new()
    self._bar.total = total
    if self._bar.n or self._bar.disable:
      self._bar.update(done)
    else:
      # It has waited for the compiler: the rate counts from here on, the
      # elapsed time does not.
      smoothing, self._bar.smoothing = self._bar.smoothing, 0
      self._bar.initial = done
      self._bar.update(done)
      self._bar.smoothing = smoothing
      self._bar.last_print_n, self._bar.last_print_t = done, time.time()
    if self._bar.n >= total:
      self.close()

  def close(self) -> None:
    """Remove the bar."""
    if self._bar is not None:
      self._bar.close()
    self._bar = None

  def __enter__(self) -> "Steps":
    return self

  def __exit__(self, *_: object) -> None:
    self.close()


def write(text: str, file: TextIO | None = None) -> None:
  """Print a line above the bars, to stdout by default.

  Work continues when the reader of the output, such as `head`, has ended.
  """
  if (file := file or sys.stdout) is None:
    return
  with contextlib.suppress(BrokenPipeError):
    tqdm.tqdm.write(text, file=file)
    file.flush()


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
def elapsed(
  work: str,
  seconds: float = LOG_SECONDS,
  file: TextIO | None = None,
  *,
  after: float = 0.0,
) -> Iterator[None]:
  """Print the elapsed seconds of work that cannot count its steps.

  Args:
    work: description of the work, printed at its start.
    seconds: interval between the lines.
    file: stream to print to; by default stdout.
    after: seconds until the first line; shorter work prints nothing.
  """
  began, done = time.monotonic(), threading.Event()

  def report() -> None:
    if after and done.wait(after):
      return
    write(work, file)
    while not done.wait(seconds):
      passed = time.monotonic() - began
      write(f"  {passed:.0f} s elapsed", file)

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
