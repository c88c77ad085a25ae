"""The scripts of launch/, in the environment that they create."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import yaml

from stemgen_jax import audio
from stemgen_jax.apps import train

pytestmark = pytest.mark.processes

ROOT = pathlib.Path(__file__).parents[1]


def demo(folder, *arguments) -> subprocess.CompletedProcess:
  return subprocess.run(
    [ROOT / "launch" / "demo.sh", *arguments],
    cwd=folder,
    capture_output=True,
    text=True,
    check=False,
  )


def test_demo_writes_its_three_files_and_no_others(tmp_path):
  noise = np.random.default_rng(0).normal(0, 0.1, (48000, 2))
  soundfile.write(tmp_path / "my mix.wav", noise, 48000)
  own = tmp_path / "out" / "my take.wav"
  own.parent.mkdir()
  own.write_text("mine")

  done = demo(tmp_path, "my mix.wav", "--stem=drums", "--steps=1")
  assert done.returncode == 0, done.stderr
  for word in ("drums, seed 0", "s of music in", "out/stem.wav"):
    assert word in done.stdout
  names = {"stem.wav", "mix.wav", "picture.png", "my take.wav"}
  assert {path.name for path in own.parent.iterdir()} == names
  first = (own.parent / "stem.wav").read_bytes()
  assert len(audio.read(own.parent / "stem.wav").samples) == len(noise)

  done = demo(tmp_path, "my mix.wav", "--steps=1", "--seed=1")
  assert done.returncode == 0, done.stderr
  assert {path.name for path in own.parent.iterdir()} == names
  assert (own.parent / "stem.wav").read_bytes() != first
  assert own.read_text() == "mine"


def test_demo_does_not_replace_files_named_by_the_user(tmp_path):
  mine = tmp_path / "mine.wav"
  mine.write_text("mine")
  for flag in ("--out=mine.wav", "-out=mine.wav"):
    done = demo(tmp_path, flag)
    assert done.returncode == 1
    assert "mine.wav exists" in done.stderr
    assert mine.read_text() == "mine"


def test_failed_demo_leaves_no_folder(tmp_path):
  done = demo(tmp_path, "nope.wav")
  assert done.returncode == 1
  assert "no such file: nope.wav" in done.stderr
  assert list(tmp_path.iterdir()) == []


def test_environment_created_by_hand_is_installed_into_and_kept(tmp_path):
  (tmp_path / "launch").mkdir()
  for name in ("environment.sh", "constraints.txt"):
    shutil.copy(ROOT / "launch" / name, tmp_path / "launch" / name)
  (tmp_path / "setup.py").touch()
  for name in ("requirements-nodeps.txt", "requirements-kernels.txt"):
    (tmp_path / "launch" / name).touch()
  binaries, log = tmp_path / ".venv" / "bin", tmp_path / "installed"
  binaries.mkdir(parents=True)
  (binaries / "activate").touch()
  mine = tmp_path / ".venv" / "mine"
  mine.write_text("mine")
  python = binaries / "python"
  python.write_text(
    f'#!/bin/sh\ncase "$*" in *install*) echo "$*" >> {log} ;; '
    f'*) exec {sys.executable} "$@" ;; esac\n'
  )
  python.chmod(0o755)

  def source():
    return subprocess.run(
      ["bash", "-c", f"source {tmp_path}/launch/environment.sh demo"],
      capture_output=True,
      text=True,
      check=False,
    )

  done = source()
  assert done.returncode == 0, done.stderr
  assert mine.read_text() == "mine"
  installed = log.read_text()
  assert f"-e {tmp_path}" in installed
  # A second call does nothing until a list changes.
  assert source().stdout == ""
  assert log.read_text() == installed
  (tmp_path / "launch" / "constraints.txt").write_text("numpy==2.0.0\n")
  assert "Preparing" in source().stdout
  assert len(log.read_text()) == 2 * len(installed)
  assert mine.read_text() == "mine"


@pytest.fixture
def first_run(tmp_path):
  """Return a function that starts a first run in a checkout; it logs there."""
  (tmp_path / "launch").mkdir()
  shutil.copy(ROOT / "launch" / "environment.sh", tmp_path / "launch")
  for name in ("setup.py", "launch/constraints.txt"):
    (tmp_path / name).touch()
  for name in ("requirements-nodeps.txt", "requirements-kernels.txt"):
    (tmp_path / "launch" / name).touch()
  log, python = tmp_path / "log", tmp_path / "python"
  # Creates an environment of itself, and takes a second to install into it.
  python.write_text(
    f"""#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"
    touch "$3/bin/activate"; echo venv >> {log} ;;
  *install*) sleep 1; echo install >> {log} ;;
esac
"""
  )
  python.chmod(0o755)

  def first_run():
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return subprocess.Popen(
      ["bash", "-c", f"source {tmp_path}/launch/environment.sh demo"],
      env=os.environ | {"PYTHON": str(python), "PATH": path},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  return first_run


DEAD = str(2**22 + 1)


def test_two_first_runs_prepare_one_environment(first_run, tmp_path):
  # The turn of a process that was killed.
  (tmp_path / ".venv.lock").symlink_to(DEAD)
  runs = [first_run() for _ in range(2)]
  printed = [run.communicate(timeout=60)[0] for run in runs]
  assert [run.returncode for run in runs] == [0, 0], printed
  assert (tmp_path / "log").read_text().split() == ["venv", "install"]
  assert sum("Preparing" in text for text in printed) == 1
  assert sum("Waiting for process" in text for text in printed) == 1
  assert not list(tmp_path.glob(".venv.lock*"))


def test_a_turn_taken_after_a_killed_process_is_kept(first_run, tmp_path):
  lock, readlink = tmp_path / ".venv.lock", tmp_path / "bin" / "readlink"
  lock.symlink_to(str(os.getpid()))
  # At first it states the process that was killed, as if it were read before.
  readlink.parent.mkdir()
  readlink.write_text(
    f"""#!/bin/sh
case "$*" in
  *.venv.lock) mkdir {tmp_path / "read"} 2>/dev/null && echo {DEAD} && exit ;;
esac
exec {shutil.which("readlink")} "$@"
"""
  )
  readlink.chmod(0o755)
  run = first_run()
  assert run.stdout is not None
  first = run.stdout.readline()
  assert f"Waiting for process {os.getpid()}" in first
  assert lock.is_symlink()
  lock.unlink()
  run.communicate(timeout=60)
  assert run.returncode == 0
  assert not list(tmp_path.glob(".venv.lock*"))


# Bash 3.2, which macOS has, lacks these; with `set -u` it also refuses to
# expand an empty array, as in "${array[@]}".
_NEWER = re.compile(
  r"declare -[Ag]|local -[An]|mapfile|readarray|coproc|wait -n|\|&|&>>|;;?&"
  r"|\$\{\w+(,|\^|@[A-Za-z]|\[-\d+\])|\[\[ -[vR] |printf '%\("
  r"|printf -v \w+\[|read -[Ni]|shopt -s (globstar|lastpipe)|mktemp --|sed -i "
  r"|date -d|\bflock\b|\btimeout\b|\bnproc\b"
)
_SCRIPTS = [
  *ROOT.glob("launch/*.sh"),
  ROOT / "launch/slurm.sbatch",
  ROOT / ".ci/run",
]


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda path: path.name)
def test_scripts_run_under_the_bash_of_macos(script):
  text = script.read_text(encoding="utf-8")
  assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
  code = re.sub(r"(?m)(^|\s)#.*$", "", text)
  assert not _NEWER.findall(code)
  for name in re.findall(r"(\w+)=\(\)", code):
    guarded = code.replace(f'${{{name}[@]+"${{{name}[@]}}"}}', "")
    assert f'"${{{name}[@]}}"' not in guarded, name


def test_lint_of_scripts_finds_what_newer_bash_has():
  for code in (
    "declare -A sizes",
    "mapfile -t lines",
    "echo ${name,,}",
    "echo ${name^}",
    "echo ${list[-1]}",
    "make |& tee log",
    "wait -n",
    "archive=$(mktemp --suffix=.tar)",
    "[[ -v name ]]",
  ):
    assert _NEWER.search(code), code


def test_kubernetes_numbers_every_process():
  text = (ROOT / "launch" / "jobset.yaml").read_text(encoding="utf-8")
  (hosts,) = yaml.safe_load(text)["spec"]["replicatedJobs"]
  job = hosts["template"]["spec"]
  (container,) = job["template"]["spec"]["containers"]
  program, app, *flags = container["command"]
  assert (program, app) == ("stemgen-jax", "train")
  assert f"--processes={job['completions']}" in flags
  assert "--process=$(JOB_COMPLETION_INDEX)" in flags
  assert {variable["name"] for variable in container["env"]} == {
    "JOB_COMPLETION_INDEX"
  }
  assert job["completionMode"] == "Indexed"
  assert job["parallelism"] == job["completions"]
  known = train.FLAGS
  for flag in flags:
    assert flag[2:].partition("=")[0] in known
