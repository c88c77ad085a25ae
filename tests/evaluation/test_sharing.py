"""Files that several processes share the work of."""

import pathlib
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

out, name, other = pathlib.Path(sys.argv[1]), *sys.argv[2:]

def make(path):
  # Each process waits in its first file until the other has started.
  (out / name).touch()
  while not (out / other).exists():
    time.sleep(0.01)
  with open(path.with_suffix(".log"), "a") as log:
    log.write("made\\n")
  path.write_text(name)

jobs = ((out / f"{n}.npz",) for n in range(12))
found = sharing.fill(jobs, make, pathlib.Path.read_text, count=12, desc="x")
assert len(found) == 12
"""


def write(path, *words):
  path.write_text(" ".join(words))


def fill(jobs, make):
  return sharing.fill(
    jobs, make, pathlib.Path.read_text, count=len(jobs), desc="x"
  )


def test_existing_files_are_kept(tmp_path):
  (tmp_path / "a.npz").write_text("before")
  jobs = [(tmp_path / "a.npz", "x"), (tmp_path / "b.npz", "y", "z")]
  found = fill(jobs, write)
  assert list(found) == [tmp_path / "a.npz", tmp_path / "b.npz"]
  assert list(found.values()) == ["before", "y z"]
  assert (tmp_path / "a.npz").read_text() == "before"
  assert (tmp_path / "b.npz").read_text() == "y z"
  assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.processes
def test_processes_share_the_work(tmp_path):
  workers = [
    subprocess.Popen([sys.executable, "-c", WORKER, tmp_path, *names])
    for names in (("one", "two"), ("two", "one"))
  ]
  assert [worker.wait(120) for worker in workers] == [0, 0]
  logs = [(tmp_path / f"{n}.log").read_text() for n in range(12)]
  assert logs == ["made\n"] * 12
  makers = [(tmp_path / f"{n}.npz").read_text() for n in range(12)]
  assert set(makers) == {"one", "two"}
  assert not list(tmp_path.glob("*.lock"))


def test_files_of_another_process_come_last(tmp_path, monkeypatch):
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
  assert list(fill([(a,), (b,)], make)) == [a, b]
  other.join()
  assert made == [b, a]


def test_a_failed_job_is_done_by_the_next_run(tmp_path):
  def fail(path):
    raise RuntimeError("no memory")

  job = (tmp_path / "a.npz", "done")
  with pytest.raises(RuntimeError, match="no memory"):
    fill([job[:1]], fail)
  fill([job], write)
  assert job[0].read_text() == "done"


def test_a_corrupt_file_is_reported_before_more_is_made(tmp_path):
  (tmp_path / "a.npz").write_bytes(b"\xff")
  with pytest.raises(UnicodeDecodeError):
    fill([(tmp_path / "a.npz",), (tmp_path / "b.npz", "late")], write)
  assert not (tmp_path / "b.npz").exists()
