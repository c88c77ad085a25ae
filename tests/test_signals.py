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


def test_a_signal_waits_until_a_process_is_started():
  steps = []

  def work():
    with signals.ending():
      with signals.blocked():
        with signals.blocked():
          os.kill(os.getpid(), signal.SIGINT)
          time.sleep(0.1)
          steps.append("inner")
        steps.append("outer")
      steps.append("after")

  with pytest.raises(signals.Stopped):
    work()
  assert steps == ["inner", "outer"]


def test_a_request_is_noticed_while_the_main_thread_is_busy(capfd):
  asked = []
  with signals.requests(then=lambda: asked.append(1)) as stop:
    assert not stop.asked
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.asked
    assert stop.number == signal.SIGTERM
    assert asked == [1]
    (line,) = capfd.readouterr().err.split("\n")[1:-1]
    assert line == "stopping, once the current step is saved"


SCRIPT = """
import hashlib, os, signal, threading, time
from stemgen_jax import signals
signals._GRACE = 0.5
signal.signal(signal.SIGINT, signal.default_int_handler)

class Swallow:
  def __del__(self):
    time.sleep(60)

def swallow():
  while True:
    try: time.sleep(60)
    except BaseException: pass

def cannot_raise():
  Swallow()
  time.sleep(60)

def compute():
  hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)

with signals.ending():
  number = signal.SIGINT
  threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
  {work}()
"""


# Libraries lose an exception, or delay it for minutes.
@pytest.mark.processes
@pytest.mark.parametrize("work", ["compute", "swallow", "cannot_raise"])
def test_a_process_that_does_not_end_exits_with_one_line(work):
  done = subprocess.run(
    [sys.executable, "-c", SCRIPT.format(work=work)],
    capture_output=True,
    text=True,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    timeout=60,
    check=False,
  )
  assert done.returncode == 130
  assert done.stderr.strip() == "stemgen-jax: stopped"


@pytest.mark.processes
def test_an_import_is_not_interrupted_by_an_exception(tmp_path):
  # It stands for an extension module, which would crash the process.
  (tmp_path / "fragile.py").write_text(
    "import os, signal\n"
    "try: os.kill(os.getpid(), signal.SIGINT)\n"
    "finally: os.abort()\n"
  )
  script = (
    "from stemgen_jax import signals\n"
    "with signals.cleanup(lambda: print('cleaned', flush=True)):\n"
    "  with signals.ending(): import fragile\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", script],
    capture_output=True,
    text=True,
    env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    timeout=60,
    check=False,
  )
  assert (done.returncode, done.stdout) == (130, "cleaned\n")
  assert done.stderr.strip() == "stemgen-jax: stopped"
