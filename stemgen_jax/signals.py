"""Ctrl-C and SIGTERM: end a command, or ask long work to save and stop."""

import contextlib
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_STOPPING = b"\nstopping, once the current step is saved\n"
_IMPORTING = "<frozen importlib._bootstrap>"
_GRACE = 5.0  # seconds in which an exception has to end the command
_cleanups: list[Callable[[], object]] = []
_held: list[object] = []  # `blocked` blocks of the main thread
_late: list[
  int
] = []  # signals in them, of which `Stopped` is raised after them


class Stopped(KeyboardInterrupt):
  """A signal ends this command."""


class Stop:
  """The first signal that has arrived.

  Attributes:
    number: its number; 0 before.
    time: its `time.monotonic()`.
  """

  def __init__(self) -> None:
    self.number, self.time = 0, 0.0

  @property
  def asked(self) -> bool:
    """Whether a signal has arrived."""
    return self.number != 0

  def note(self, number: int) -> bool:
    """Note a signal; return whether it is the first."""
    first = not self.number
    if first:
      self.number, self.time = number, time.monotonic()
    return first


@contextlib.contextmanager
def ending(*, quiet: bool = True) -> Iterator[Stop]:
  """Raise `Stopped` in the main thread at the first signal.

  At the second, or if the exception does not end the work within 5 seconds,
  because the main thread is in a library's code or the exception was lost in
  one, the process exits. So it does during an import: extension modules crash
  if an exception ends their initialization.

  Args:
    quiet: do not print exceptions that Python cannot raise, such as those of
      finalizers, which a signal or another error causes.
  """
  stop, done = Stop(), threading.Event()

  def raise_first(number: int, frame: types.FrameType | None) -> None:
    nonlocal count
    count += 1
    if count > 1:
      _exit(number)
    if _is_importing(frame):
      with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
      _exit(number)
    stop.note(number)
    if _held:
      _late.append(number)
    else:
      raise Stopped

  def notice(number: int) -> None:
    stop.note(number)
    if not done.wait(_GRACE):
      _exit(number)

  count = 0
  with _handlers(_NUMBERS, raise_first, notice), _unraisable(quiet):
    try:
      yield stop
    finally:
      done.set()


@contextlib.contextmanager
def requests(
  *numbers: int, then: Callable[[], object] = lambda: None, insist: bool = True
) -> Iterator[Stop]:
  """Turn SIGTERM and the first Ctrl-C into a request to stop, with a line.

  The former handlers are restored at the end.

  Args:
    *numbers: signals to handle; SIGINT and SIGTERM if left out.
    then: called at the first, possibly in another thread.
    insist: a second Ctrl-C raises KeyboardInterrupt; otherwise the work always
      gets to save.
  """
  stop, interrupts = Stop(), 0

  def notice(number: int) -> None:
    if stop.note(number):
      with contextlib.suppress(OSError):
        os.write(2, _STOPPING)  # sys.stderr may be in use by this very thread
      then()

  def ask(number: int, frame: types.FrameType | None) -> None:
    nonlocal interrupts
    notice(number)
    interrupts += number == signal.SIGINT
    if insist and interrupts > 1:
      if _is_importing(frame):
        _exit(number)
      raise KeyboardInterrupt

  with _handlers(numbers or _NUMBERS, ask, notice):
    yield stop


@contextlib.contextmanager
def cleanup(function: Callable[[], object]) -> Iterator[None]:
  """Call a function at the end of the block, also if a signal ends the process.

  It may be called twice, and in another thread.
  """
  _cleanups.append(function)
  try:
    yield
  finally:
    _cleanups.remove(function)
    function()


@contextlib.contextmanager
def blocked() -> Iterator[None]:
  """Hold signals back while processes start, which inherit that.

  A process that is signalled while it imports prints a traceback; each calls
  `in_worker` before its work. And one whose parent is interrupted before it
  has sent its arguments prints one, too: `Stopped` is raised at the end.
  """
  # The mask is that of this thread: another one may receive the signal, for
  # which Python then calls the handler here.
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
  here = threading.current_thread() is threading.main_thread()
  _held.extend([None] * here)
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if here:
      _held.pop()
    if here and not _held and _late:
      _late.clear()
      raise Stopped


def in_worker() -> None:
  """Leave Ctrl-C, which reaches all processes of a terminal, to the parent."""
  signal.set_wakeup_fd(-1)  # of the parent, after a fork
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGTERM, signal.SIG_DFL)
  signal.pthread_sigmask(signal.SIG_UNBLOCK, _NUMBERS)


@contextlib.contextmanager
def _handlers(
  numbers: tuple[int, ...],
  handle: Callable[[int, Any], None],
  notice: Callable[[int], None],
) -> Iterator[None]:
  """Call `handle` in the main thread, and at once `notice` in another."""
  if threading.current_thread() is not threading.main_thread():
    yield  # Only the main thread can set handlers.
    return
  # Python calls handlers only between its own instructions: a main thread that
  # is compiling, or waits for a device, would not notice for minutes.
  reading, writing = os.pipe()
  os.set_blocking(writing, False)

  def listen() -> None:
    while number := os.read(reading, 1)[0]:
      if number in before:
        notice(number)

  before = {
    number: signal.signal(number, handle)
    for number in numbers
    # Ignored by a parent, as for background jobs of a shell: leave it.
    if signal.getsignal(number) != signal.SIG_IGN
  }
  thread = threading.Thread(target=listen, daemon=True)
  thread.start()
  other = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
  try:
    yield
  finally:
    signal.set_wakeup_fd(other)
    for number, handler in before.items():
      signal.signal(number, handler)
    os.write(writing, b"\0")
    thread.join()
    os.close(reading)
    os.close(writing)


@contextlib.contextmanager
def _unraisable(quiet: bool) -> Iterator[None]:
  before = sys.unraisablehook
  if quiet:
    sys.unraisablehook = lambda _: None
  try:
    yield
  finally:
    sys.unraisablehook = before


def _is_importing(frame: types.FrameType | None) -> bool:
  while frame and frame.f_code.co_filename != _IMPORTING:
    frame = frame.f_back
  return frame is not None


def _exit(number: int) -> NoReturn:
  for function in reversed(_cleanups):
    with contextlib.suppress(Exception):  # the process ends all the same
      function()
  with contextlib.suppress(OSError):
    os.write(2, b"\nstemgen-jax: stopped\n")
  os._exit(128 + number)
