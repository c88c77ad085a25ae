"""Killed runs resume exactly."""

import random
import re
import signal
import time

import pytest
from commands import ROOT, Training, assert_same_run

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


# The files of this run can grow no more after its eighth step.
FULL = f"""
import resource, runpy
from stemgen_jax.training.reporter import Reporter

get_config = runpy.run_path({str(ROOT / "configs/demo.py")!r})["get_config"]
report = Reporter.step

def fill_disk(self, step, metrics, waited):
  if step == 8:
    limit = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit))
  return report(self, step, metrics, waited)

Reporter.step = fill_disk
"""


def test_full_disk_names_the_last_step_and_the_run_resumes(
  codes, whole, tmp_path
):
  (tmp_path / "full.py").write_text(FULL)
  out, steps = tmp_path / "run", f"--config.steps={STEPS}"
  full = f"--config={tmp_path / 'full.py'}"
  code, _, err = Training(codes, out, steps, full).end()
  assert code == 1
  (line,) = [x for x in err.splitlines() if x.startswith("stemgen-jax: ")]
  (step,) = re.findall(r"the last checkpoint is of step (\d+);", line)
  assert "file-size limit reached" in line
  assert "raise it (ulimit -f), then the same command resumes" in line
  assert "Traceback" not in err
  code, printed, err = Training(codes, out, steps).end()
  assert code == 0, err
  assert f"resuming from step {step}\n" in printed
  assert_same_run(out, whole)
  assert not list(out.rglob("*tmp*"))


def test_sigterm_saves_and_exits_with_0(codes, whole, tmp_path):
  run = Training(codes, tmp_path, f"--config.steps={STEPS}")
  assert run.wait_for(lambda: run.steps() >= 2)
  run.process.terminate()
  code, out, err = run.end()
  assert code == 0, err
  assert "saved; the same command resumes" in out
  assert "compiling the training step" in err
  assert "stopping, once the current step is saved" in err
  (step,) = [
    int(line.split()[3].rstrip(","))
    for line in out.splitlines()
    if line.startswith("stopped at step")
  ]
  assert (tmp_path / "checkpoints" / str(step)).is_dir()
  code, _, err = Training(codes, tmp_path, f"--config.steps={STEPS}").end()
  assert code == 0, err
  assert_same_run(tmp_path, whole)
