"""Files on a full disk: complete, or as they were, and never unnoticed."""

import contextlib
import errno
import io
import itertools
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from matplotlib import image
from matplotlib.figure import Figure

from stemgen_jax import audio, disk, whole_files

HERE = pathlib.Path(__file__).parent
PACKAGE = pathlib.Path(disk.__file__).parent
NOISE = np.random.default_rng(0).normal(0, 0.1, (6000, 2)).astype(np.float32)
SOUND = audio.Audio(NOISE, 48000)


def write_sound(path):
  audio.write(path, SOUND, metadata={"seed": 3}, overwrite=True)


def with_file(write):
  """A writer of a path from one of an open file."""

  def to_path(path):
    with disk.replacing(path) as file:
      write(file)

  return to_path


# One for each library that writes.
WRITERS = {
  "a.txt": lambda path: disk.write_text(path, "text" * 10_000),
  "a.json": lambda path: disk.write_json(path, NOISE[:1000].tolist()),
  "a.wav": write_sound,
  "a.flac": write_sound,
  "a.npy": with_file(lambda file: np.save(file, NOISE)),
  "a.npz": with_file(lambda file: np.savez(file, a=NOISE, b=NOISE)),
  "b.npz": with_file(lambda file: np.savez_compressed(file, a=NOISE, b=NOISE)),
  "a.png": with_file(lambda file: Figure().savefig(file, format="png")),
  "b.png": with_file(
    lambda file: image.imsave(file, NOISE.reshape(100, -1), format="png")
  ),
  "a.safetensors": with_file(
    lambda file: file.write(safetensors.numpy.save({"a": NOISE}))
  ),
}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
  """A file, its writer, and the contents that this writes."""
  path, write = tmp_path / request.param, WRITERS[request.param]
  write(path)
  return path, write, path.read_bytes()


def assert_refused_whole(path, write, capfd, limit=None):
  """The write fails; nothing has changed, and only the error is reported."""
  path.write_bytes(b"precious")
  capfd.readouterr()
  full = "file-size limit reached" if limit else "disk full"
  expected = f"cannot write {path}: {full}"
  with limit or contextlib.ExitStack(), pytest.raises(OSError, match=expected):
    write(path)
  assert path.read_bytes() == b"precious"
  assert list(path.parent.iterdir()) == [path]
  assert capfd.readouterr() == ("", "")


def test_failure_of_any_write_keeps_the_old_file(written, monkeypatch, capfd):
  path, write, expected = written
  calls, fail_at = 0, 0

  class Faulty(io.FileIO):
    def write(self, data, /):
      nonlocal calls
      calls += 1
      if calls == fail_at:
        raise OSError(errno.ENOSPC, "No space left on device")
      return super().write(data)

  class FaultyPart(whole_files._Part, Faulty):
    pass

  monkeypatch.setattr(whole_files, "_Part", FaultyPart)
  write(path)
  writes = calls
  while fail_at < writes:
    fail_at, calls = fail_at + 1, 0
    assert_refused_whole(path, write, capfd)
  assert fail_at >= 1
  fail_at, calls = 0, 0
  write(path)
  assert path.read_bytes() == expected


@contextlib.contextmanager
def largest_file(size):
  """Limit the size of files, which stands for a full disk."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_every_size_of_the_disk_keeps_the_old_file(written, capfd):
  path, write, expected = written
  whole = len(expected)
  for size in {*np.linspace(0, whole - 1, 12, dtype=int).tolist()}:
    assert_refused_whole(path, write, capfd, largest_file(size))
  with largest_file(whole):
    write(path)
  assert path.read_bytes() == expected


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failure_after_the_last_write_keeps_the_old_file(
  call, tmp_path, monkeypatch, capfd
):
  def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(f"os.{call}", full)
  for name, write in WRITERS.items():
    (tmp_path / name).mkdir()
    assert_refused_whole(tmp_path / name / name, write, capfd)


@pytest.mark.parametrize("large", ["a.bin", "a.json"])
@pytest.mark.parametrize("fail_at", range(3))
def test_a_pair_is_replaced_together_or_not_at_all(
  large, fail_at, tmp_path, monkeypatch
):
  path, about = tmp_path / "a.bin", tmp_path / "a.json"
  path.write_bytes(b"precious")
  about.write_bytes(b"precious")
  # Less than a buffer: the first write is that of the end.
  text = "x" * 2000 if large == "a.json" else ""
  data = b"x" * (2000 if large == "a.bin" else 0)
  calls, sync = itertools.count(1), os.fsync

  def fsync(file):
    if next(calls) == fail_at:
      raise OSError(errno.ENOSPC, "No space left on device")
    sync(file)

  monkeypatch.setattr(os, "fsync", fsync)
  limit = contextlib.ExitStack() if fail_at else largest_file(1000)
  name = (large, "a.bin", "a.json")[fail_at]
  full = "disk full" if fail_at else "file-size limit reached"
  with limit, pytest.raises(OSError, match=f"cannot write .*{name}: {full}"):
    disk.write_described(path, data, text)
  assert path.read_bytes() == about.read_bytes() == b"precious"
  assert len(list(tmp_path.iterdir())) == 2
  disk.write_described(path, data, text)
  assert (path.read_bytes(), about.read_text()) == (data, f'"{text}"\n')


def test_errors_of_the_caller_stay_as_they_are(tmp_path):
  for error in (ValueError("mine"), FileNotFoundError(2, "mine")):

    def fail(file, error=error):
      file.write(b"half")
      raise error

    with pytest.raises(type(error)) as caught:
      with_file(fail)(tmp_path / "a.txt")
    assert caught.value is error
  assert not list(tmp_path.iterdir())


def test_a_full_disk_is_found_behind_other_errors():
  def behind(cause):
    error = RuntimeError("a library's")
    error.__cause__ = cause
    return error

  assert disk.is_full(behind(OSError(errno.EDQUOT, "Disk quota exceeded")))
  assert disk.is_full(RuntimeError("write() failed: No space left on device"))
  assert not disk.is_full(behind(PermissionError(errno.EACCES, "denied")))


def test_partial_files_of_killed_processes_are_removed(tmp_path, monkeypatch):
  (tmp_path / "deep").mkdir()
  own, other = tmp_path / whole_files.part_name(), tmp_path / ".1234-1-12.part"
  own.touch()
  other.touch()  # another machine's
  monkeypatch.setattr("os.getpid", lambda: 2**22 + 1)  # no process has this id
  dead, deeper = (
    whole_files.part_name(),
    tmp_path / "deep" / whole_files.part_name(),
  )
  (tmp_path / dead).touch()
  deeper.touch()
  disk.remove_leftovers(tmp_path)
  assert {x.name for x in tmp_path.iterdir()} == {own.name, other.name, "deep"}
  assert deeper.exists()
  disk.remove_leftovers(tmp_path, deep=True)
  assert not deeper.exists()
  disk.remove_leftovers(tmp_path / "nowhere")


def assert_old_or_new(folder, whole):
  """Each file of `WRITERS` has its old contents or its new ones."""
  contents = {path.name: path.read_bytes() for path in folder.iterdir()}
  assert contents.keys() == WRITERS.keys()
  for name, content in contents.items():
    assert content in (b"precious", whole[name]), name


def write_all(folder):
  """Write all files, and return the number that the disk had no room for."""
  refused = 0
  for name, write in WRITERS.items():
    try:
      write(folder / name)
    except OSError as error:
      if not re.search("disk full|file-size limit", str(error)):
        raise
      refused += 1
  return refused


def sweep(where, small):
  """Write all files at every size of a small disk.

  `small` is "tmpfs", where `where` is one and can be made smaller, or "rlimit".
  """
  assert write_all(where) == 0
  whole = {name: (where / name).read_bytes() for name in WRITERS}
  total = sum(map(len, whole.values()))
  largest = max(map(len, whole.values()))
  found = set()
  for size in range(12, total // 1024 + 100, 24):  # KiB
    for name in WRITERS:
      (where / name).write_bytes(b"precious")
    with contextlib.ExitStack() as stack:
      if small == "tmpfs":
        resize = ["mount", "-o", f"remount,size={max(48, size)}k", where]
        subprocess.run(resize, check=True)
      else:
        # A limit on each file instead of all.
        stack.enter_context(largest_file(size * 1024 * largest // total))
      found.add(write_all(where))
    assert_old_or_new(where, whole)
  assert 0 in found
  assert len(found) > 3
  print(f"{small}: up to {max(found)} of {len(WRITERS)} files refused")


def kill_at_renames(where):
  """Kill processes before and after each rename; all files stay whole."""
  assert write_all(where) == 0
  whole = {name: (where / name).read_bytes() for name in WRITERS}
  rename = os.replace
  for number in range(2 * len(WRITERS)):
    for name in WRITERS:
      (where / name).write_bytes(b"precious")
    child = os.fork()
    if not child:
      calls = itertools.count()

      def replace(*paths, calls=calls, number=number):
        for moment in (lambda: None, lambda: rename(*paths)):
          moment()
          if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

      os.replace = replace
      write_all(where)
      os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    # The next run removes what it had begun.
    left = {path.name for path in where.iterdir()} - WRITERS.keys()
    assert bool(left) == (number % 2 == 0)
    disk.remove_leftovers(where)
    assert_old_or_new(where, whole)


def in_new_process(call, *before):
  script = f"import pathlib, test_full_disk as test; test.{call}"
  done = subprocess.run(
    [*before, sys.executable, "-c", script],
    capture_output=True,
    text=True,
    env=os.environ
    | {"PYTHONPATH": os.pathsep.join(map(str, (PACKAGE.parent, HERE)))},
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.mark.processes
def test_small_disks_lose_no_file(tmp_path):
  # A file system in memory, where the system lets a process mount one.
  mount = f'mount -t tmpfs none {tmp_path} && exec "$0" "$@"'
  inside = ["unshare", "-Urm", "sh", "-c", mount]
  small = "rlimit"
  if shutil.which("unshare"):
    tried = subprocess.run([*inside, "true"], check=False, capture_output=True)
    small = "rlimit" if tried.returncode else "tmpfs"
  before = inside if small == "tmpfs" else []
  call = f"sweep(pathlib.Path({str(tmp_path)!r}), {small!r})"
  assert "files refused" in in_new_process(call, *before)


@pytest.mark.processes
def test_killed_writers_leave_whole_files(tmp_path):
  in_new_process(f"kill_at_renames(pathlib.Path({str(tmp_path)!r}))")


# Files that are appended to, that a later run writes again, or that are removed
# after use.
_ELSEWHERE = {
  "disk.py",
  "locks.py",
  "small_runs.py",
  "web/download.py",
  "codec/weight_files.py",
  "generation/compilation.py",
  "studio/uploads.py",
  "training/metrics.py",
  "training/watchdog.py",
}


def test_all_files_are_written_by_replacing():
  writes = re.compile(
    r"""(?<!disk\.)write_(text|bytes)\(|open\([^)]*["'][rb]*[wax+]"""
    r"""|(np\.savez?\w*|savefig|imsave|save_file)\((?!\s*file\b)"""
  )
  found = {
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
    if writes.search(path.read_text(encoding="utf-8"))
  }
  assert found == _ELSEWHERE
