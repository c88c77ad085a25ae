"""Long work: progress bars, and stopping at a signal."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import tqdm

T = TypeVar("T")


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


class Stop:
  """A request to stop, which `stop_signals` sets.

  Attributes:
    asked: whether a signal has arrived.
  """

  def __init__(self) -> None:
    self.asked = False


@contextlib.contextmanager
def stop_signals(
  *numbers: int, then: Callable[[], object] = lambda: None, insist: bool = True
) -> Iterator[Stop]:
  """Turn SIGTERM and the first Ctrl-C into a request to stop.

  The former handlers are restored at the end.

  Args:
    *numbers: signals to handle; SIGINT and SIGTERM if left out.
    then: called at every signal that asks to stop.
    insist: a second Ctrl-C raises KeyboardInterrupt; otherwise the work always
      gets to save.
  """
  stop = Stop()

  def ask(number: int, _: object) -> None:
    if insist and stop.asked and number == signal.SIGINT:
      raise KeyboardInterrupt
    stop.asked = True
    then()

  numbers = numbers or (signal.SIGINT, signal.SIGTERM)
  before = {number: signal.signal(number, ask) for number in numbers}
  try:
    yield stop
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
