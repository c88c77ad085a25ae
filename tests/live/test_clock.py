"""Workers: a thread, and a simulated one."""

import threading

import pytest

from stemgen_jax.live.clock import (
  SimulatedClock,
  SimulatedWorker,
  ThreadWorker,
  WallClock,
)


def test_a_thread_does_jobs_in_order_and_nobody_waits():
  clock, go = WallClock(), threading.Event()
  worker = ThreadWorker(clock)
  worker.submit(lambda: go.wait(60))
  worker.submit(lambda: 1 / 0)
  worker.submit(lambda: "third")
  assert worker.busy == 3
  assert list(worker.finished()) == []
  go.set()
  worker.close()  # after the jobs
  first, second, third = worker.finished()
  assert first.result is True
  assert isinstance(second.error, ZeroDivisionError)
  assert third.result == "third"
  assert first.at <= third.at <= clock.now()
  assert worker.busy == 0


def test_simulated_jobs_take_the_time_that_they_spend():
  clock = SimulatedClock()
  worker = SimulatedWorker(clock, measured=False)
  for seconds in (2.0, 1.0):
    worker.submit(lambda seconds=seconds: clock.spend(seconds))
  found = []
  for now in (1.9, 2.5, 3.5):
    clock.wait(now)
    found += [(now, done.at) for done in worker.finished()]
  assert found == [(2.5, pytest.approx(2.0)), (3.5, pytest.approx(3.0))]
  measured = SimulatedWorker(clock, measured=True)
  measured.submit(lambda: clock.spend(1.0))
  clock.wait(99.0)
  (done,) = measured.finished()
  assert done.at > 4.5  # and what it took here
