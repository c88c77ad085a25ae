"""End a run in which no step finishes, and name the process that is stuck."""

import collections
import contextlib
import faulthandler
import os
import pathlib
import shutil
import statistics
import sys
import threading
import time
import traceback
from typing import NoReturn

import jax

from stemgen_jax import signals

SECONDS = 600.0
"""Default of --stall_timeout."""

_TIMES = 20  # of the usual step
_FIRST = 3  # steps, which compile, take up to as many times --stall_timeout
_SILENT = 60.0  # seconds without a sign of life after which a process is lost
_SIGN = 2.0  # seconds between signs of life
_STOPPING = 20.0  # seconds in which a request to stop has to be noticed
_TIMES_LONG = 6  # long work may take as many times --stall_timeout
_LEAST_LONG = 600.0  # seconds, or this
LOADS = "waits for its data"
VALIDATES = "validates"
AUDITIONS = "generates auditions"
SAVES = "saves a checkpoint"
COMPLETES = "completes its last checkpoint"
_LONG = VALIDATES, AUDITIONS, SAVES, COMPLETES
_ENDED = "0 0 has ended"
FOLDER = ".processes"
"""Folder of the signs of life, in the folder of the run."""


class Watchdog:
  """A thread that ends this process when its steps no longer finish.

  A step may take `seconds`, or 20 times the usual step if that is more; the
  first 3, which compile, 3 times `seconds`. Then every process prints which one
  it waits for, and where it waits itself, and exits with code 1. A process that
  gives no sign of life counts as lost after 60 seconds. After a signal the next
  step has 20 seconds, or twice the usual time. A checkpoint, validation and
  auditions, of any process, may take 6 times `seconds`, at least 10 minutes,
  also after a signal.

  Args:
    out: folder of the run, which all processes share.
    stop: request to stop.
    seconds: see above; 0 for no limit, also after a signal.

  Use as a context manager.
  """

  def __init__(self, out: pathlib.Path, stop: signals.Stop, seconds: float):
    self._folder, self._stop, self._seconds = out / FOLDER, stop, seconds
    self._process, self._count = jax.process_index(), jax.process_count()
    self._doing, self._step, self._steps = "starts", -1, 0
    self._recent = collections.deque[float](maxlen=101)  # seconds of steps
    self._since = time.monotonic()
    self._began = self._since
    # Process -> its last sign, and when that was seen first.
    self._signs: dict[int, tuple[str, float]] = {}
    self._done = threading.Event()
    self._thread = threading.Thread(target=self._watch, daemon=True)

  def __enter__(self) -> "Watchdog":
    self._thread.start()
    return self

  def __exit__(self, *_: object) -> None:
    self._done.set()
    self._thread.join()
    faulthandler.cancel_dump_traceback_later()
    if self._count > 1:
      self._write(_ENDED)
      signs = [self._read(process) for process in range(self._count)]
      if signs == [_ENDED] * self._count:  # the last one
        shutil.rmtree(self._folder, ignore_errors=True)

  def doing(self, work: str, step: int) -> None:
    """Note that this process makes progress.

    Args:
      work: the work that begins, as in "process 1 WORK".
      step: last step that was dispatched.
    """
    # First: the other thread must not hold a short limit against long work.
    self._since = now = time.monotonic()
    if 0 <= self._step < step:
      if self._steps >= _FIRST:
        self._recent.append(now - self._began)
      self._steps += 1
    if step != self._step:
      self._began = now
    self._doing, self._step = work, step

  def _watch(self) -> None:
    signed = number = 0.0
    while not self._done.wait(min(1.0, self._limit / 20)):
      now = time.monotonic()
      if now - signed > min(_SIGN, self._limit / 20):
        signed, number = now, number + 1
        self._write(f"{number:.0f} {self._step} {self._doing}")
      if self._seconds:
        self._check(now)

  def _check(self, now: float) -> None:
    # Limits before `_since`, which `doing` sets in the other order.
    limit, stopping = self._limit, self._stopping
    waiting = now - self._since
    # Also where a library holds Python's lock, so that this thread stops.
    faulthandler.dump_traceback_later(2 * limit, exit=True, file=2)
    lost = self._lost(now) if waiting > min(_SILENT, limit) / 4 else []
    asked = 0.0
    if self._stop.asked:
      asked = now - max(self._stop.time, self._since)
    if (waiting > limit or asked > stopping) and self._others_work_long():
      limit = stopping = self._long_limit
    if waiting > limit or lost:
      self._end(waiting, lost)
    if asked > stopping:
      self._end_at_signal(asked)

  @property
  def _limit(self) -> float:
    if not self._seconds:
      return float("inf")
    if self._doing in _LONG:
      return self._long_limit
    if self._steps < _FIRST:
      return _FIRST * self._seconds
    return max(self._seconds, _TIMES * self._usual)

  @property
  def _stopping(self) -> float:
    """Seconds that the present work may take after a signal."""
    if self._doing in _LONG:
      return self._long_limit
    return max(_STOPPING, 2 * self._usual)

  @property
  def _long_limit(self) -> float:
    return max(_LEAST_LONG, _TIMES_LONG * self._seconds)

  def _others_work_long(self) -> bool:
    others = set(range(self._count)) - {self._process}
    return any(self._read(process).endswith(_LONG) for process in others)

  @property
  def _usual(self) -> float:
    # A copy, as the main thread may append meanwhile; rare steps save, too.
    return statistics.median_low(list(self._recent) or [0.0])

  def _write(self, sign: str) -> None:
    if self._count > 1:
      with contextlib.suppress(OSError):  # a full disk is the run's to report
        self._folder.mkdir(exist_ok=True)
        path = self._folder / str(self._process)
        # Renamed, as others read it; not synced, which may take very long.
        part = path.with_suffix(".part")
        part.write_text(sign, "utf-8")
        os.replace(part, path)

  def _read(self, process: int) -> str:
    try:
      return (self._folder / str(process)).read_text("utf-8")
    except OSError:
      return ""

  def _lost(self, now: float) -> list[int]:
    """Read the signs of the others; return those that have become silent."""
    for process in range(self._count):
      sign = self._read(process)
      if self._signs.get(process, (None, now))[0] != sign:
        self._signs[process] = sign, now
    silent = min(_SILENT, self._limit / 2)
    return [
      process
      for process, (sign, since) in self._signs.items()
      if process != self._process
      # The first process may still load the codec of its auditions.
      and sign not in ("", _ENDED)
      and now - since > silent
    ]

  def _culprits(self, lost: list[int]) -> str:
    """Describe the processes that the others wait for."""
    if self._count == 1:
      return f"the process {self._doing}"
    of = f" of {self._count}"
    if lost:
      names = " and ".join(map(str, lost))
      return f"process {names}{of} gives no sign of life"
    # Those that have come less far, or wait for data and not for a device.
    rows = []
    for process in range(self._count):
      sign = self._read(process) or "0 0 has not started"
      _, step, work = sign.split(" ", 2)
      rows.append((int(step), work != LOADS, process, work))
    least = min(rows)[:2]
    return " and ".join(
      f"process {process}{of} {work}"
      for *place, process, work in sorted(rows)
      if tuple(place) == least
    )

  def _end(self, waiting: float, lost: list[int]) -> NoReturn:
    usual = f" (usually {self._usual:.1f} s)" if self._recent else ""
    self._exit(
      f"error: no step has finished for {waiting:.0f} s{usual}: "
      f"{self._culprits(lost)}; process {self._process} {self._doing} after "
      f"step {self._step}; start the same command again, it resumes from the "
      "last checkpoint; see --stall_timeout",
      1,
    )

  def _end_at_signal(self, waiting: float) -> NoReturn:
    self._exit(
      f"stopped without saving: no step has finished for {waiting:.0f} s, as "
      f"{self._culprits([])}; the same command resumes from the last "
      "checkpoint",
      128 + self._stop.number,
    )

  def _exit(self, message: str, code: int) -> NoReturn:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    stack = "".join(traceback.format_stack(frame)) if frame else ""
    if code > 128:  # A signal gets two lines at most.
      stack = ""
    text = f"\nstemgen-jax: {message}\n{stack}"
    os.write(2, text.encode(errors="backslashreplace"))
    if self._count > 1:  # The others notice the same, not a lost connection.
      time.sleep(_SIGN)
    # A normal exit would wait for the others, and for the work that is stuck.
    os._exit(code)
