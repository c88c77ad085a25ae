"""Processes that are stuck, or missing, and runs that change their number."""

import re
import signal
import time

import numpy as np
import pytest
from commands import ROOT, Training, assert_same, trained
from test_processes import STEPS, free_port, two

from stemgen_jax import locks

pytestmark = pytest.mark.processes

# A configuration with a data loader that falls asleep, in the last process.
SLEEPS = f"""
import runpy, sys, time
from stemgen_jax.data import batches
from stemgen_jax.training import watchdog

watchdog._STOPPING = 5.0
get_config = runpy.run_path({str(ROOT / "configs/demo.py")!r})["get_config"]
take = batches._Batches.__getitem__

def sleep_later(self, number):
  if number > 6 and "--process=0" not in sys.argv:
    time.sleep(600)
  return take(self, number)

batches._Batches.__getitem__ = sleep_later
"""


@pytest.fixture
def sleeps(tmp_path):
  path = tmp_path / "sleeps.py"
  path.write_text(SLEEPS)
  return f"--config={path}"


def test_sleeping_loader_is_named_and_other_hosts_resume(
  codes, sleeps, tmp_path
):
  out = tmp_path / "run"
  flags = sleeps, "--stall_timeout=20", "--config.save_every=2"
  ends = [run.end() for run in two(codes, out, *flags)]
  assert [code for code, _, _ in ends] == [1, 1], ends
  for number, (_, _, err) in enumerate(ends):
    assert "process 1 of 2 waits for its data" in err
    assert f"process {number} " in err
    assert "/trainer.py" in err  # its own stack
  # 2 -> 1 -> 2 processes, on the same data and with the same state as one.
  code, printed, err = Training(codes, out, "--config.steps=6").end()
  assert code == 0, err
  (step,) = map(int, re.findall(r"^resuming from step (\d+)$", printed, re.M))
  assert step >= 2
  ends = [run.end() for run in two(codes, out)]
  assert [code for code, _, _ in ends] == [0, 0], ends
  assert "resuming from step 6\n" in ends[0][1]
  assert "resuming" not in ends[1][1]
  code, _, err = Training(codes, tmp_path / "one", STEPS).end()
  assert code == 0, err
  losses, position, state = trained(out)
  expected, expected_position, expected_state = trained(tmp_path / "one")
  assert losses.keys() == expected.keys() == set(range(1, 9))
  np.testing.assert_allclose(
    list(losses.values()), list(expected.values()), rtol=1e-5
  )
  assert position == expected_position
  assert_same(state["step"], expected_state["step"])
  assert {x.name for x in out.iterdir()} == {
    x.name for x in (tmp_path / "one").iterdir()
  }


def test_stopped_process_is_named(codes, tmp_path):
  flags = "--config.steps=100000", "--stall_timeout=20"
  waiting, stopped = two(codes, tmp_path, *flags)
  assert waiting.wait_for(lambda: waiting.steps() >= 2), waiting.end()
  stopped.process.send_signal(signal.SIGSTOP)
  code, _, err = waiting.end(timeout=120)
  stopped.process.kill()
  stopped.end()
  assert code == 1
  assert "process 1 of 2 gives no sign of life" in err
  assert "/trainer.py" in err


def test_sigterm_ends_a_stuck_process(codes, sleeps, tmp_path):
  run = Training(codes, tmp_path, sleeps, "--stall_timeout=40")
  assert run.wait_for(lambda: run.steps() >= 4), run.end()
  time.sleep(1)
  began = time.monotonic()
  run.process.terminate()
  code, _, err = run.end(timeout=120)
  assert code == 143, err
  assert time.monotonic() - began < 40
  (line,) = [x for x in err.splitlines() if x.startswith("stemgen-jax: ")]
  assert "stopped without saving" in line
  assert "waits for its data" in line


@pytest.mark.parametrize("number", [0, 1])
def test_missing_processes_give_one_line(codes, tmp_path, number):
  run = Training(
    codes,
    tmp_path / "run",
    f"--coordinator=localhost:{free_port()}",
    "--processes=2",
    f"--process={number}",
    "--initialization_timeout=2",
  )
  code, printed, err = run.end(timeout=120)
  assert (code, printed) == (1, "")
  (line,) = err.splitlines()
  assert f"process {number} of 2 has not found all others in 2 s" in line
  assert not (tmp_path / "run").exists()


def test_all_processes_of_a_second_run_are_refused(codes, tmp_path):
  with locks.only_writer(tmp_path / "run", folder=True):
    first, second = [run.end() for run in two(codes, tmp_path / "run")]
  assert (first[0], second[0]) == (1, 1), (first, second)
  assert "is writing it; wait until that ends" in first[2]
  assert "process 0 cannot write it" in second[2]
  assert not (tmp_path / "run").exists()
