"""One writer for each output."""

import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from stemgen_jax import disk, locks

ROOT = pathlib.Path(__file__).parents[1]
HOLD = """
import sys
from stemgen_jax import locks, whole_files
with locks.only_writer(sys.argv[1], folder=sys.argv[2] == "folder"):
  (locks.pathlib.Path(sys.argv[1]).parent / whole_files.part_name()).touch()
  print("held", flush=True)
  input()
"""


@contextlib.contextmanager
def holder(path, kind):
  """Another process that holds the lock of a file or folder."""
  with subprocess.Popen(
    [sys.executable, "-c", HOLD, path, kind],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
  ) as process:
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_the_second_writer_is_refused_until_the_first_is_killed(kind, tmp_path):
  path = tmp_path / "new" / "out"
  writer = locks.only_writer(path, folder=kind == "folder")
  with holder(path, kind) as process:
    expected = rf"{path}: process {process.pid} on .* is writing it"
    with pytest.raises(BlockingIOError, match=expected), writer:
      pass
    # Other outputs in the same folder are free.
    with locks.only_writer(path.with_name("other")):
      pass
    process.send_signal(signal.SIGKILL)
  with locks.only_writer(path, folder=kind == "folder"):
    names = {x.name for x in path.parent.rglob("*") if x != path}
    # The partial file of the killed process is gone, where it was its own.
    assert (names == {".out.lock"}) == (kind == "file")
  assert kind == "folder" or not list(path.parent.iterdir())


def test_a_lock_on_a_removed_file_does_not_count(tmp_path, monkeypatch):
  path, lock, flock = tmp_path / "out", tmp_path / ".out.lock", fcntl.flock

  def late(*arguments):
    """Lock a file that another writer has removed since it was opened."""
    monkeypatch.undo()
    lock.unlink()
    return flock(*arguments)

  monkeypatch.setattr(fcntl, "flock", late)
  with locks.only_writer(path):
    assert fcntl.flock is flock
    with pytest.raises(BlockingIOError), locks.only_writer(path):
      pass


def test_folders_are_made_and_removed_if_they_stay_empty(tmp_path):
  deep = tmp_path / "a" / "b"

  def refuse():
    with locks.only_writer(deep, folder=True):
      assert deep.is_dir()
      raise ValueError("refused")

  with pytest.raises(ValueError, match="refused"):
    refuse()
  assert not list(tmp_path.iterdir())
  with locks.only_writer(deep / "c.txt"):
    disk.write_text(deep / "c.txt", "text")
  assert [x.name for x in deep.iterdir()] == ["c.txt"]
  (tmp_path / "empty").mkdir()
  with locks.made(tmp_path / "empty"):
    pass
  assert (tmp_path / "empty").is_dir()


def test_two_writers_of_one_file_never_tear_it(tmp_path):
  path = tmp_path / "song.npz"
  contents = {bytes([value]) * 100_000 for value in range(2)}

  def write(content):
    for _ in range(20):
      with disk.replacing(path) as file:
        for start in range(0, len(content), 10_000):
          file.write(content[start : start + 10_000])

  writers = [threading.Thread(target=write, args=(x,)) for x in contents]
  for writer in writers:
    writer.start()
  seen = 0
  while any(writer.is_alive() for writer in writers):
    with contextlib.suppress(FileNotFoundError):
      assert path.read_bytes() in contents
      seen += 1
  assert seen
  assert list(tmp_path.iterdir()) == [path]
