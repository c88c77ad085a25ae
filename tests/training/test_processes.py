"""Two processes that train one model, over gloo on this machine."""

import signal
import socket

import numpy as np
import pytest
from commands import Training, assert_same, assert_same_run, trained

from stemgen_jax.training import processes

pytestmark = pytest.mark.processes

STEPS = "--config.steps=8"


def free_port():
  with socket.socket() as probe:
    probe.bind(("localhost", 0))
    return probe.getsockname()[1]


def two(codes, out, *flags):
  """Two processes with two devices each: a mesh of 2 x 2."""
  port = free_port()
  return [
    Training(
      codes,
      out,
      STEPS,
      "--config.mesh_model=2",
      f"--coordinator=localhost:{port}",
      "--processes=2",
      f"--process={number}",
      *flags,
      devices=2,
    )
    for number in range(2)
  ]


@pytest.fixture(scope="module")
def whole(codes, tmp_path_factory):
  """A run of two processes, and what they printed."""
  out = tmp_path_factory.mktemp("two") / "run"
  runs = two(codes, out)
  ends = [run.end() for run in runs]
  assert [code for code, _, _ in ends] == [0, 0], ends
  return out, [printed for _, printed, _ in ends]


def test_two_processes_equal_one_device(codes, whole, tmp_path):
  out, (first, second) = whole
  code, _, err = Training(codes, tmp_path, STEPS).end()
  assert code == 0, err
  losses, position, state = trained(out)
  expected, expected_position, expected_state = trained(tmp_path)
  assert losses.keys() == expected.keys() == set(range(1, 9))
  np.testing.assert_allclose(
    list(losses.values()), list(expected.values()), rtol=1e-5
  )
  assert position == expected_position
  assert_same(state["step"], expected_state["step"])
  # Only the first process prints the configuration and the end.
  assert "trained 8 steps" in first
  assert '"mesh_model": 2' in first
  assert "trained" not in second
  assert "mesh_model" not in second


def test_if_one_is_killed_the_other_ends_and_both_resume(
  codes, whole, tmp_path
):
  code, err, out = None, "", tmp_path
  for attempt in range(3):
    out = tmp_path / str(attempt)
    survivor, killed = two(codes, out)
    assert survivor.wait_for(lambda run=survivor: run.steps() >= 4)
    killed.process.send_signal(signal.SIGKILL)
    assert killed.end()[0] == -signal.SIGKILL
    code, _, err = survivor.end(timeout=180)
    # JAX itself aborts a survivor that waits at the barrier of a checkpoint.
    if code != -signal.SIGABRT:
      break
  assert code == 1
  # Gloo notices most lost connections at once; the watchdog the others.
  fails = "process 0 of 2 cannot continue" in err
  assert fails or "process 1 of 2 gives no sign of life" in err, err
  assert "start all of them again" in err or "the same command again" in err

  runs = two(codes, out)
  ends = [run.end() for run in runs]
  assert [code for code, _, _ in ends] == [0, 0], ends
  assert_same_run(out, whole[0])


def test_sigterm_to_one_saves_and_ends_both(codes, tmp_path):
  runs = two(codes, tmp_path, "--config.steps=100000")
  assert runs[0].wait_for(lambda: runs[0].steps() >= 2)
  runs[1].process.terminate()
  (code, out, err), (other, _, other_err) = [run.end() for run in runs]
  assert (code, other) == (0, 0), err + other_err
  assert "saved; the same command resumes" in out


def test_slurm_step_needs_no_addresses(codes, tmp_path):
  job = str(free_port())
  tasks = [
    Training(
      codes,
      tmp_path,
      "--config.steps=1",
      "--coordinator=auto",
      SLURM_JOB_ID=job,
      SLURM_STEP_NODELIST="localhost",
      SLURM_NTASKS="2",
      SLURM_PROCID=str(number),
      SLURM_LOCALID=str(number),
    )
    for number in range(2)
  ]
  ends = [task.end() for task in tasks]
  assert [code for code, _, _ in ends] == [0, 0], ends
  assert "trained 1 steps" in ends[0][1]


def test_auto_without_a_cluster_asks_for_addresses(codes, tmp_path):
  code, _, err = Training(codes, tmp_path, "--coordinator=auto").end()
  assert code == 1
  assert "finds no TPU pod" in err
  assert "--coordinator=HOST:PORT" in err


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ((None, 2, 0), "--coordinator is missing"),
    (("10.0.0.1", 2, 0), "expected HOST:PORT"),
    (("10.0.0.1:99", None, 0), "--processes=None"),
    (("10.0.0.1:99", 2, 2), "--process=2: expected 0 to 1"),
  ],
)
def test_invalid_addresses_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    processes.start(*arguments)
