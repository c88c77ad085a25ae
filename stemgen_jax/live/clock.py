"""Time and background work: of this machine, or simulated."""

import functools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import threadpoolctl

from stemgen_jax import signals

Job = Callable[[], Any]


class Done(NamedTuple):
  """The end of a job.

  Attributes:
    result: the returned value; None if it failed.
    error: the exception, if it failed.
    at: when it ended, by the clock.
  """

  result: Any
  error: Exception | None
  at: float


class Clock(Protocol):
  """Seconds from some point in time on."""

  def now(self) -> float:
    """Return the seconds."""
    ...

  def wait(self, until: float) -> None:
    """Return at a time, or at once if it has passed."""
    ...


class Worker(Protocol):
  """Does jobs one after the other, without anyone waiting for it."""

  @property
  def busy(self) -> int:
    """Number of jobs that are not done."""
    ...

  def submit(self, job: Job) -> None:
    """Append a job."""
    ...

  def finished(self) -> Iterator[Done]:
    """Yield the jobs that have ended since the last call."""
    ...

  def close(self) -> None:
    """Take no more jobs."""
    ...


class WallClock:
  """The clock of this machine."""

  def now(self) -> float:
    """See `Clock`."""
    return time.monotonic()

  def wait(self, until: float) -> None:
    """See `Clock`."""
    if (seconds := until - self.now()) > 0:
      time.sleep(seconds)


class SimulatedClock:
  """A clock that moves when it is waited for.

  Attributes:
    seconds: its time.
    spent: seconds that jobs pretend to take, in total.
  """

  def __init__(self):
    self.seconds = self.spent = 0.0

  def now(self) -> float:
    """See `Clock`."""
    return self.seconds

  def wait(self, until: float) -> None:
    """See `Clock`."""
    self.seconds = max(self.seconds, until)

  def spend(self, seconds: float) -> None:
    """Let the job that calls it take so many seconds longer."""
    self.spent += seconds


class ThreadWorker:
  """A worker that is a thread."""

  def __init__(self, clock: Clock):
    self._clock, self._busy = clock, 0
    self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    self._done: deque[Done] = deque()
    self._thread = threading.Thread(target=self._run, daemon=True)
    with signals.blocked():
      self._thread.start()

  @property
  def busy(self) -> int:
    """See `Worker`."""
    return self._busy

  def submit(self, job: Job) -> None:
    """See `Worker`."""
    self._busy += 1
    self._jobs.put(job)

  def finished(self) -> Iterator[Done]:
    """See `Worker`."""
    while self._done:
      self._busy -= 1
      yield self._done.popleft()

  def close(self) -> None:
    """See `Worker`; wait some seconds for the job that is running."""
    self._jobs.put(None)
    self._thread.join(5.0)

  def _run(self) -> None:
    while (job := self._jobs.get()) is not None:
      self._done.append(_done(job, self._clock.now))


class SimulatedWorker:
  """A worker of a simulated clock, in the thread that asks for its results.

  Args:
    clock: the clock.
    measured: a job takes the seconds that it takes on this machine, and those
      that it `spend`s; otherwise these alone.
  """

  def __init__(self, clock: SimulatedClock, *, measured: bool):
    self._clock, self._measured = clock, measured
    self._jobs: deque[tuple[float, Job]] = deque()
    self._running: Done | None = None
    self._free, self._starting = 0.0, False

  @property
  def busy(self) -> int:
    """See `Worker`."""
    active = self._starting or self._running is not None
    return len(self._jobs) + active

  def submit(self, job: Job) -> None:
    """See `Worker`."""
    self._jobs.append((self._clock.now(), job))

  def finished(self) -> Iterator[Done]:
    """See `Worker`."""
    while self._running or self._jobs:
      if self._running is None:
        submitted, job = self._jobs.popleft()
        self._running = self._start(job, max(submitted, self._free))
      if self._running.at > self._clock.now():
        return
      done, self._running = self._running, None
      self._free = done.at
      yield done

  def close(self) -> None:
    """See `Worker`."""
    self._jobs.clear()

  def _start(self, job: Job, at: float) -> Done:
    began, spent = time.perf_counter(), self._clock.spent
    self._starting = True
    done = _done(job, self._clock.now)
    self._starting = False
    seconds = self._clock.spent - spent
    if self._measured:
      seconds += time.perf_counter() - began
    return done._replace(at=at + seconds)


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
  return threadpoolctl.ThreadpoolController()


def _done(job: Job, now: Callable[[], float]) -> Done:
  try:
    # OpenBLAS's threads spin for a while after each product, and take 0.2 s of
    # processor time a chunk from the codec and JAX (measured).
    with _libraries().limit(limits=1, user_api="blas"):
      result, error = job(), None
  except Exception as failure:
    result, error = None, failure
  return Done(result, error, now())
