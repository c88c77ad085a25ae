"""Files that several processes make together."""

import subprocess
import sys
import threading
import time

import filelock
import pytest

from stemgen_jax.evaluation import sharing

WORKER = """
import pathlib, sys, time
from stemgen_jax.evaluation import sharing

def make(path):
  time.sleep(0.1)
  with open(path.with_suffix(".log"), "a") as log:
    log.write("made\\n")
  path.write_text(sys.argv[2])

out = pathlib.Path(sys.argv[1])
jobs = ((out / f"{n}.npz",) for n in range(12))
assert len(sharing.fill(jobs, make, count=12, desc="x")) == 12
"""


def write(path, *words):
  path.write_text(" ".join(words))


def test_what_is_there_is_left_as_it_is(tmp_path):
  (tmp_path / "a.npz").write_text("before")
  jobs = [(tmp_path / "a.npz", "x"), (tmp_path / "b.npz", "y", "z")]
  assert sharing.fill(jobs, write, count=2, desc="x") == [
    tmp_path / "a.npz",
    tmp_path / "b.npz",
  ]
  assert (tmp_path / "a.npz").read_text() == "before"
  assert (tmp_path / "b.npz").read_text() == "y z"
  assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_processes_share_the_work(tmp_path):
  workers = [
    subprocess.Popen([sys.executable, "-c", WORKER, tmp_path, name])
    for name in ("one", "two")
  ]
  assert [worker.wait(120) for worker in workers] == [0, 0]
  logs = [(tmp_path / f"{n}.log").read_text() for n in range(12)]
  assert logs == ["made\n"] * 12
  assert not list(tmp_path.glob("*.lock"))


def test_what_another_process_is_at_work_on_comes_last(tmp_path, monkeypatch):
  monkeypatch.setattr(sharing, "_PAUSE", 0.01)
  a, b = tmp_path / "a.npz", tmp_path / "b.npz"
  made = []

  def make(path):
    made.append(path)
    path.write_text("ours")

  def stop_without_a_result():
    time.sleep(0.3)
    lock.release()

  lock = filelock.FileLock(tmp_path / "a.lock", thread_local=False)
  lock.acquire()
  other = threading.Thread(target=stop_without_a_result)
  other.start()
  assert sharing.fill([(a,), (b,)], make, count=2, desc="x") == [a, b]
  other.join()
  assert made == [b, a]


def test_a_failure_leaves_the_job_to_be_done(tmp_path):
  def fail(path):
    raise RuntimeError("no memory")

  job = (tmp_path / "a.npz", "done")
  with pytest.raises(RuntimeError, match="no memory"):
    sharing.fill([job[:1]], fail, count=1, desc="x")
  sharing.fill([job], write, count=1, desc="x")
  assert job[0].read_text() == "done"
