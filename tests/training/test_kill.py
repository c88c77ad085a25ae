"""Killed runs resume exactly."""

import random
import signal
import time

import pytest
from commands import Training, assert_same_run

pytestmark = pytest.mark.processes

STEPS = 24


@pytest.fixture(scope="module")
def whole(codes, tmp_path_factory):
  out = tmp_path_factory.mktemp("whole") / "run"
  code, _, err = Training(codes, out, f"--config.steps={STEPS}").end()
  assert code == 0, err
  return out


def kill_at_random(run, chance):
  """SIGKILL at a random step or while a checkpoint is written."""
  if chance.random() < 0.5:
    step = run.steps() + chance.randrange(1, 5)
    run.wait_for(lambda: run.steps() >= step)
    time.sleep(0.02 * chance.random())
  else:
    before = run.steps()
    run.wait_for(lambda: run.steps() > before and run.is_saving())
    time.sleep(0.005 * chance.random())
  run.process.send_signal(signal.SIGKILL)
  run.end()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_killed_at_random_moments_equals_the_uninterrupted_run(
  codes, whole, tmp_path, kills
):
  chance = random.Random(kills)
  for number in range(kills):
    # A few kills each: a run must not end before.
    out = tmp_path / f"run{number // 4}"
    run = Training(codes, out, f"--config.steps={STEPS}")
    kill_at_random(run, chance)
    assert run.process.returncode == -signal.SIGKILL
  for out in sorted(tmp_path.glob("run*")):
    code, _, err = Training(codes, out, f"--config.steps={STEPS}").end()
    assert code == 0, err
    assert_same_run(out, whole)


def test_sigterm_saves_and_exits_with_0(codes, whole, tmp_path):
  run = Training(codes, tmp_path, f"--config.steps={STEPS}")
  assert run.wait_for(lambda: run.steps() >= 2)
  run.process.terminate()
  code, out, err = run.end()
  assert code == 0, err
  assert "saved; the same command resumes" in out
  (step,) = [
    int(line.split()[3].rstrip(","))
    for line in out.splitlines()
    if line.startswith("stopped at step")
  ]
  assert (tmp_path / "checkpoints" / str(step)).is_dir()
  code, _, err = Training(codes, tmp_path, f"--config.steps={STEPS}").end()
  assert code == 0, err
  assert_same_run(tmp_path, whole)
