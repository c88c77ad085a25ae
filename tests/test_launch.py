"""The scripts that train on other machines, with stand-ins of their tools."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.processes

ROOT = pathlib.Path(__file__).parents[1]
TRAIN = ("--config=configs/slakh.py", "--data=my data", "--out=runs/a")


@pytest.fixture
def tools(tmp_path, monkeypatch):
  """Return a function that makes a program of the path from its script."""
  folder = tmp_path / "bin"
  folder.mkdir()
  monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
  monkeypatch.setenv("TPU_WAIT", "0")

  def make(name, script):
    (folder / name).write_text(f"#!/usr/bin/env bash\n{script}")
    (folder / name).chmod(0o755)

  return make


def run(*command, cwd=None):
  return subprocess.run(
    command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60
  )


def tpu_vm(*flags):
  return run(ROOT / "launch/tpu_vm.sh", "pod", "zone", *flags)


def test_scripts_pass_shellcheck():
  scripts = [*ROOT.glob("launch/*.sh"), "launch/slurm.sbatch", ".ci/run"]
  done = run("shellcheck", *scripts, cwd=ROOT)
  assert done.returncode == 0, done.stdout


def test_a_configuration_that_is_not_committed_is_refused():
  done = tpu_vm(
    "--type=v5p-256", "--dry-run", "--config=configs/none.py", *TRAIN
  )
  assert (done.returncode, done.stdout) == (1, "")
  assert "configs/none.py: expected a file of the last commit" in done.stderr
  # After the colon is an argument, which the name of the file lacks.
  done = tpu_vm(
    "--type=v5p-256", "--dry-run", "--config=configs/demo.py:x", *TRAIN
  )
  assert (done.returncode, done.stderr) == (0, "")


def test_help_of_the_demo_installs_nothing(tmp_path):
  script = tmp_path / "launch" / "demo.sh"
  script.parent.mkdir()
  shutil.copy(ROOT / "launch/demo.sh", script)
  done = run(script, "--help")
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith("Generate a stem in one command:")
  assert "set -euo" not in done.stdout


def test_dry_run_of_a_pod_prints_every_command():
  done = tpu_vm(
    "--type=v5p-256", "--spot", "--setup=mount x", "--dry-run", *TRAIN
  )
  assert done.returncode == 0, done.stderr
  lines = done.stdout.replace("\\", "").strip().split("\n")
  start = [line.split(" --")[0].split(" pod")[0] for line in lines]
  tpus = "gcloud compute tpus"
  assert start == [
    f"{tpus} queued-resources delete",
    f"{tpus} queued-resources create",
    f"{tpus} tpu-vm scp /" + lines[2].split(" /")[1].split(" ")[0],
    f"{tpus} tpu-vm ssh",
  ]
  assert "--spot --accelerator-type=v5p-256" in lines[1]
  assert "--runtime-version=v2-alpha-tpuv5 --zone=zone" in lines[1]
  assert "--worker=all --command=" in lines[3]
  assert "{ mount x && tar xf stemgen-jax.tar; }" in lines[3]
  assert (
    "train --coordinator=auto --config=configs/slakh.py --data=my data"
    in lines[3]
  )


# A TPU whose states and exit codes of `ssh` are lines of files.
GCLOUD = """
cd "{folder}"
next() {{ head -n 1 "$1"; if [ "$(wc -l <"$1")" -gt 1 ]; then
  tail -n +2 "$1" >rest; mv rest "$1"; fi; }}
echo "$*" >>calls
case "$*" in
  *"tpu-vm describe"*) s=$(next states) ;;
  *"queued-resources describe"*) s=$(next queued) ;;
  *"tpu-vm ssh"*) exit "$(next codes)" ;;
  *) exit 0 ;;
esac
if [ "$s" = MISSING ]; then echo "NOT_FOUND: no $s" >&2; exit 1; fi
if [ "$s" = DENIED ]; then echo "permission denied" >&2; exit 1; fi
echo "$s"
"""


@pytest.mark.parametrize(
  ("states", "queued", "codes", "code", "calls"),
  [
    # Created, preempted twice (once seen by a failing run), done.
    (
      "MISSING PREEMPTED PREEMPTED MISSING MISSING",
      "MISSING WAITING_FOR_RESOURCES ACTIVE SUSPENDED ACTIVE MISSING ACTIVE",
      "255 1 0",
      0,
      "create scp ssh delete create scp ssh create scp ssh",
    ),
    # It fails by itself.
    ("READY READY", "-", "3", 3, "scp ssh"),
    # Only the connection breaks off.
    ("READY READY READY", "-", "255 0", 0, "scp ssh scp ssh"),
    ("STARTING READY", "-", "0", 0, "scp ssh"),
    ("MISSING", "MISSING FAILED", "0", 1, "create"),
    ("DENIED", "-", "0", 1, ""),
  ],
)
def test_a_pod_is_recreated_after_preemption(
  tools, tmp_path, states, queued, codes, code, calls
):
  for name, text in {
    "states": states,
    "queued": queued,
    "codes": codes,
  }.items():
    (tmp_path / name).write_text("".join(f"{x}\n" for x in text.split()))
  tools("gcloud", GCLOUD.format(folder=tmp_path))
  done = tpu_vm("--type=v5litepod-16", *TRAIN)
  assert done.returncode == code, done.stderr
  called = (tmp_path / "calls").read_text().splitlines()
  words = [line.split()[3] for line in called]
  assert [word for word in words if word != "describe"] == calls.split()


def test_a_missing_pod_is_not_created_without_a_type(tools, tmp_path):
  (tmp_path / "states").write_text("MISSING\n")
  tools("gcloud", GCLOUD.format(folder=tmp_path))
  done = tpu_vm(*TRAIN)
  assert done.returncode == 1
  assert "TPU pod in zone is MISSING: give --type=" in done.stderr
  assert run(ROOT / "launch/tpu_vm.sh", "pod").returncode == 1
  tools("gcloud", 'echo "$*"')
  assert "tpu_worker.sh stop" in tpu_vm("--stop").stdout


@pytest.fixture
def worker(tools, tmp_path, monkeypatch):
  """Return a function that runs tpu_worker.sh in a checkout of its own."""
  (tmp_path / "launch").mkdir()
  shutil.copy(ROOT / "launch/tpu_worker.sh", tmp_path / "launch")
  (tmp_path / "launch/environment.sh").write_text("echo environment $1\n")
  tools("pip", "exit 0")
  monkeypatch.setenv("STEMGEN_WORKER", str(tmp_path / "state"))
  monkeypatch.setenv("LIBTPU_LOCK", str(tmp_path / "lock"))
  script = tmp_path / "launch/tpu_worker.sh"
  return lambda *command: run("bash", script, *command)


def test_worker_starts_follows_and_passes_the_exit_code_on(worker, tmp_path):
  (tmp_path / "lock").touch()  # of a process that was killed
  done = worker("bash", "-c", "echo step 1; exit 3")
  assert done.returncode == 3, done.stderr
  assert done.stdout.startswith("environment demo\n")
  assert done.stdout.endswith(": step 1\n")
  assert not (tmp_path / "lock").exists()
  assert worker("running").returncode == 1


def test_worker_keeps_a_lock_that_is_held(worker, tmp_path):
  with open(tmp_path / "lock", "w"):
    done = worker("true")
  assert done.returncode == 1
  assert f"process {os.getpid()} uses the TPU" in done.stderr
  assert (tmp_path / "lock").exists()


def test_worker_follows_a_run_that_it_did_not_start(worker, tmp_path):
  script = tmp_path / "launch/tpu_worker.sh"
  save = (
    "trap 'echo saved; exit 0' TERM; echo step 1; while :; do sleep 0.05; done"
  )

  def follow(*command):
    return subprocess.Popen(
      ["bash", script, *command], stdout=subprocess.PIPE, text=True
    )

  with follow("bash", "-c", save) as first:
    assert first.stdout
    assert "environment" in first.stdout.readline()
    assert "step 1" in first.stdout.readline()
    first.kill()  # as if the connection broke off
    with follow("another", "command") as third:
      assert third.stdout
      assert "step 1" in third.stdout.readline()
      assert worker("stop").returncode == 0
      assert "saved" in third.stdout.read()
  assert third.returncode == 0
  assert worker("running").returncode == 1


def test_slurm_requeues_a_run_that_was_stopped(tools, tmp_path, monkeypatch):
  monkeypatch.setenv("SLURM_JOB_ID", "77")
  tools(
    "srun",
    f"trap 'echo saved; exit 0' TERM; echo $* >{tmp_path / 'started'}\n"
    "while :; do sleep 0.05; done",
  )
  tools("scontrol", "echo scontrol $*")
  job = subprocess.Popen(
    ["bash", ROOT / "launch/slurm.sbatch", *TRAIN],
    stdout=subprocess.PIPE,
    text=True,
  )
  while not (tmp_path / "started").exists():
    time.sleep(0.01)
    assert job.poll() is None
  job.send_signal(signal.SIGUSR1)
  printed = job.communicate(timeout=30)[0]
  assert job.returncode == 0
  assert printed.split("\n")[:2] == ["saved", "scontrol requeue 77"]
  assert (
    "train --coordinator=auto --config=configs/slakh.py"
    in (tmp_path / "started").read_text()
  )


def test_slurm_does_not_requeue_a_run_that_ended(tools):
  tools("srun", "exit 4")
  tools("scontrol", "echo scontrol $*")
  done = run("bash", ROOT / "launch/slurm.sbatch", *TRAIN)
  assert (done.returncode, done.stdout) == (4, "")
