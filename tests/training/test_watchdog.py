"""Limits of the watchdog, at times that are given instead of waited for."""

import signal
import time
from unittest import mock

import pytest

from stemgen_jax import signals
from stemgen_jax.training import watchdog


@pytest.fixture
def code_after(tmp_path, monkeypatch):
  """Return the exit code after a time without progress; 0 if it runs on."""
  monkeypatch.setattr(watchdog, "faulthandler", mock.Mock())

  def leave(_, message, code):
    raise SystemExit(code)

  monkeypatch.setattr(watchdog.Watchdog, "_exit", leave)

  def code_after(seconds, work, *, stop, other=""):
    request = signals.Stop()
    watch = watchdog.Watchdog(tmp_path, request, 60.0)
    watch.doing(work, 5)
    if other:
      watch._process, watch._count = 1, 2
      watch._write(f"1 5 {other}")
      watch._process = 0
    if stop:
      request.note(signal.SIGTERM)
    try:
      watch._check(time.monotonic() + seconds)
    except SystemExit as end:
      return end.code
    return 0

  return code_after


STEP = "computes a step"
LONG = (
  watchdog.SAVES,
  watchdog.COMPLETES,
  watchdog.VALIDATES,
  watchdog.AUDITIONS,
)


def test_a_signal_ends_a_step(code_after):
  assert code_after(15, STEP, stop=True) == 0
  assert code_after(25, STEP, stop=True) == 128 + signal.SIGTERM
  assert code_after(170, STEP, stop=False) == 0
  assert code_after(190, STEP, stop=False) == 1


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("work", LONG)
def test_long_work_has_a_limit_of_its_own(code_after, work, stop):
  assert code_after(590, work, stop=stop) == 0
  assert code_after(610, work, stop=stop) == 1


@pytest.mark.parametrize("stop", [False, True])
def test_a_step_may_wait_for_long_work_of_another(
  code_after, monkeypatch, stop
):
  monkeypatch.setattr(watchdog, "_SILENT", 1e4)
  other = watchdog.AUDITIONS
  assert code_after(590, STEP, stop=stop, other=other) == 0
  assert code_after(610, STEP, stop=stop, other=other) == 1


def test_without_a_limit_nothing_is_checked(tmp_path, monkeypatch):
  watch = watchdog.Watchdog(tmp_path, signals.Stop(), 0.0)
  turns, checks = iter([False, True]), []
  monkeypatch.setattr(watch._done, "wait", lambda _: next(turns))
  monkeypatch.setattr(watch, "_check", checks.append)
  watch._watch()
  assert not checks


def test_signs_are_replaced_whole(tmp_path):
  watch = watchdog.Watchdog(tmp_path, signals.Stop(), 60.0)
  watch._count = 2
  watch._write("1 0 computes a step")
  with open(tmp_path / watchdog.FOLDER / "0") as sign:
    watch._write("2 0 computes a step")
    assert sign.read() == "1 0 computes a step"
  assert watch._read(0) == "2 0 computes a step"
