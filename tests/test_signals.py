"""Ctrl-C and SIGTERM: raised, passed on as a request, or an exit."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from stemgen_jax import signals

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_and_handlers_are_restored(number):
  before = signal.getsignal(number)

  def work():
    with signals.ending() as stop:
      try:
        os.kill(os.getpid(), number)
        time.sleep(60)
      finally:
        assert stop.number == number

  with pytest.raises(signals.Stopped):
    work()
  assert signal.getsignal(number) == before
  assert signal.set_wakeup_fd(-1) == -1


def test_a_request_is_noticed_while_the_main_thread_is_busy():
  asked = []
  with signals.requests(then=lambda: asked.append(1)) as stop:
    assert not stop.asked
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.asked
    assert stop.number == signal.SIGTERM
    assert asked == [1]


SCRIPT = """
import hashlib, os, signal, sys, time
from stemgen_jax import signals
signals._GRACE = 0.5
signal.signal(signal.SIGINT, signal.default_int_handler)

class Swallow:
  def __del__(self):
    print("ready", flush=True)
    time.sleep(60)

with signals.ending():
  {work}
"""
# Ways in which libraries lose an exception, or delay it for minutes.
BUSY = {
  "computes": 'print("ready", flush=True)\n'
  '  hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)',
  "swallows": 'print("ready", flush=True)\n'
  "  while True:\n"
  "    try: time.sleep(60)\n"
  "    except BaseException: pass",
  "cannot raise": "Swallow()\n  time.sleep(60)",
}


@pytest.mark.processes
@pytest.mark.parametrize("work", BUSY)
def test_a_process_that_does_not_end_exits_with_one_line(work):
  with subprocess.Popen(
    [sys.executable, "-c", SCRIPT.format(work=BUSY[work])],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
  ) as process:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
  assert process.returncode == 130
  assert err.strip() == "stemgen-jax: stopped"
