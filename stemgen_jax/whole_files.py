"""Write files whole or not at all, and recognize a full disk."""

import contextlib
import errno
import functools
import hashlib
import io
import os
import pathlib
import secrets
import socket
from collections.abc import Iterator
from typing import Any, BinaryIO


class _Part(io.FileIO):
  """A new file that keeps its first error until it is complete.

  Libraries that write through callbacks or descriptors print errors, or lose
  them. So `write` always succeeds, and there is no descriptor.
  """

  error: OSError | None = None
  synced = False

  def write(self, data: Any, /) -> int:
    """Write bytes; after an error, discard them."""
    self.synced = False
    if self.error is None:
      try:
        return super().write(data) or 0
      except OSError as error:
        self.error = error
    return memoryview(data).nbytes

  def fileno(self) -> int:
    """Refuse, as described above."""
    raise io.UnsupportedOperation("fileno")

  def sync(self) -> None:
    """Force all bytes to the disk; raise the first error."""
    if self.error is not None:
      raise self.error
    if not self.synced:
      os.fsync(super().fileno())
    self.synced = True


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Yield a new binary file, which replaces `path` once it is on the disk.

  A missing folder is made. If anything fails, `path` stays as it was.

  Raises:
    OSError: the file cannot be written; see also `is_full`.
  """
  # In the same folder, as a rename is atomic only within a file system.
  temporary = path.parent / part_name()
  with _cannot_write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(temporary, "x")
  try:
    with io.BufferedWriter(part) as file:
      try:
        yield file
      except Exception:
        if part.error is None:  # otherwise a consequence of that
          raise
      with _cannot_write(path):
        _sync(file)
    with _cannot_write(path):
      os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_pair(
  path: pathlib.Path, other: pathlib.Path
) -> Iterator[tuple[BinaryIO, BinaryIO]]:
  """Yield two new files, both on the disk before either replaces its path.

  Raises:
    OSError: one of them cannot be written; both paths stay as they were.
  """
  with replacing(path) as part, replacing(other) as part_other:
    yield part, part_other
    for file, name in ((part, path), (part_other, other)):
      with _cannot_write(name):
        _sync(file)
    # `other` is renamed first. A kill between the two renames leaves it new
    # next to the old `path`: its checksum of `path` has to refuse that pair.


def _sync(file: Any) -> None:
  file.flush()
  file.raw.sync()


@contextlib.contextmanager
def _cannot_write(path: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    reason = error.strerror or str(error)
    if full := why_full(error):
      reason = f"{full[0]} ({reason})"
    raised = type(error)(f"cannot write {path}: {reason}")
    raised.errno = error.errno
    raise raised from error


_FULL = "disk full", "free some space"
_WHY_FULL = {
  errno.ENOSPC: _FULL,
  errno.EDQUOT: _FULL,
  errno.EFBIG: ("file-size limit reached", "raise it (ulimit -f)"),
}


def why_full(error: BaseException | None) -> tuple[str, str] | None:
  """Return why a file has no room, and the remedy; None for other errors."""
  while error is not None:
    for number, why in _WHY_FULL.items():
      # Other writers pass on the system's message without its number.
      if getattr(error, "errno", None) == number or (
        os.strerror(number) in str(error)
      ):
        return why
    error = error.__cause__ or error.__context__
  return None


def is_full(error: BaseException | None) -> bool:
  """Return True if a write failed for lack of space, quota or size."""
  return why_full(error) is not None


def remove_leftovers(
  folder: str | os.PathLike[str], *, deep: bool = False
) -> None:
  """Remove the partial files that killed processes of this machine left.

  Args:
    folder: folder of the files; nothing happens if it is missing.
    deep: also in all folders within.
  """
  pattern = f"{'**/' if deep else ''}.{_machine()}-*.part"
  for path in pathlib.Path(folder).glob(pattern):
    pid = path.name.split("-")[1]
    if pid.isdecimal() and not _is_running(int(pid)):
      path.unlink(missing_ok=True)


def part_name() -> str:
  """Return a new name for a partial file of this process."""
  return f".{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.part"


@functools.cache
def _machine() -> str:
  """Return a name of the host or container, the scope of process ids."""
  try:
    numbering = os.stat("/proc/self/ns/pid").st_ino
  except OSError:  # not Linux
    numbering = 0
  name = f"{socket.gethostname()} {numbering}"
  return hashlib.sha256(name.encode()).hexdigest()[:8]


def _is_running(pid: int) -> bool:
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except OSError:  # another user's
    pass
  return True
