"""One writer for each output, by locks that end with their process."""

import contextlib
import pathlib
import socket
from collections.abc import Iterator
from os import getpid

import filelock

from stemgen_jax import disk, signals

NAME = ".lock"
"""Name of the file in a folder that is being written."""

_BUSY = (
  "{path}: process {holder} is writing it; wait until that ends, or give "
  "another output"
)


@contextlib.contextmanager
def only_writer(
  path: disk.Path, *, folder: bool = False, busy: str = _BUSY
) -> Iterator[None]:
  """Be the only process that writes an output, until the end of the block.

  Folders that do not exist are made, and removed again if they stay empty.
  Files that killed processes left are removed.

  Args:
    path: file or folder to write.
    folder: `path` is a folder.
    busy: message of the error, with {path} and {holder}.

  Raises:
    BlockingIOError: another process is writing it.
    OSError: a folder cannot be made.
  """
  path = pathlib.Path(path)
  where = path if folder else path.parent
  file = where / (NAME if folder else f".{path.name[:200]}{NAME}")
  # The system releases it when the process ends in any way. The file is
  # removed before that, as filelock refuses a lock on a removed file.
  lock = filelock.FileLock(file, timeout=0, thread_local=False)
  with made(where):
    try:
      lock.acquire()
    except filelock.Timeout as error:
      text = busy.format(path=path, holder=_holder(file))
      raise BlockingIOError(text) from error
    try:
      with signals.cleanup(lambda: file.unlink(missing_ok=True)):
        file.write_text(f"{getpid()} on {socket.gethostname()}", "utf-8")
        disk.remove_leftovers(where, deep=folder)
        yield
    finally:
      lock.release()


@contextlib.contextmanager
def made(folder: disk.Path) -> Iterator[None]:
  """Make a folder; remove it at the end if it is new and still empty."""
  folder = disk.check_folder(folder)
  new = [x for x in (folder, *folder.parents) if not x.exists()]

  def remove() -> None:
    with contextlib.suppress(OSError):  # not empty
      for each in new:
        each.rmdir()

  with signals.cleanup(remove):
    folder.mkdir(parents=True, exist_ok=True)
    yield


def _holder(file: pathlib.Path) -> str:
  try:
    return file.read_text("utf-8") or "unknown"
  except OSError:  # it has just ended
    return "unknown"
