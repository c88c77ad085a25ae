"""Uploaded files: written to the song's folder, decoded, and deleted."""

import asyncio
import contextlib
import functools
import pathlib
import shutil
import threading
from collections.abc import AsyncIterator
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from stemgen_jax import locks, signals
from stemgen_jax.audio import LONGEST, Audio, isolated
from stemgen_jax.studio.errors import BusyError, RequestError
from stemgen_jax.whole_files import part_name

MOST_BYTES = 400_000_000
_MOST_FIELD = 1024  # bytes
_MOST_NAME = 60  # characters
_DECODERS = 2  # at once; each may take 2 GB
_MOST_WAITING = 8  # uploads, with files of up to 400 MB
_GRACE = 4.0  # seconds for a decoder to end


class Upload(NamedTuple):
  """A decoded file and the other fields of its form."""

  sound: Audio
  name: str
  fields: dict[str, str]


class Places:
  """Places for uploads: few are decoded at once, and some wait."""

  def __init__(self) -> None:
    self._taken = 0  # changes only in the event loop
    self.decoders = asyncio.Semaphore(_DECODERS)

  @contextlib.asynccontextmanager
  async def taken(self) -> AsyncIterator[None]:
    """Take a place; raise BusyError if there is none."""
    if self._taken >= _DECODERS + _MOST_WAITING:
      raise BusyError(
        f"{self._taken} files are being processed: send it again later"
      )
    self._taken += 1
    try:
      yield
    finally:
      self._taken -= 1


@contextlib.asynccontextmanager
async def decoded(
  request: Request, folder: pathlib.Path, *fields: str, file: str = "file"
) -> AsyncIterator[Upload]:
  """Decode the file of a form.

  Args:
    request: request with a form (multipart/form-data).
    folder: folder for the file meanwhile; it is made if necessary.
    *fields: names of fields that the form may have next to the file.
    file: name of the field of the file.

  Raises:
    BusyError: too many files are being processed; before this one is received.
    RequestError: the form has other fields, or no file.
    ValueError: the file is not audio that can be decoded.
  """
  places: Places = request.app.state.places
  async with (
    places.taken(),
    request.form(
      max_files=1, max_fields=len(fields), max_part_size=_MOST_FIELD
    ) as form,
  ):
    values = {name: value for name, value in form.items() if name != file}
    if unknown := sorted(values.keys() - set(fields)):
      raise RequestError(
        f"unknown field {unknown[0]!r}: expected {', '.join((file, *fields))}"
      )
    upload = form.get(file)
    if not isinstance(upload, UploadFile):
      raise RequestError(f"no file: expected a form with the field `{file}`")
    texts = {name: value for name, value in values.items() if value}
    if not all(isinstance(value, str) for value in texts.values()):
      raise RequestError(f"expected one file, in the field `{file}`")
    name = str(texts.pop("name", "")) or _stem(upload.filename or "")
    name = _shown(name)
    # Until the sound is used: it may have 400 MB.
    async with places.decoders:
      decoding = _Decoding(upload, name, folder)
      try:
        sound = await run_in_threadpool(decoding.run)
      except asyncio.CancelledError:  # the server ends
        decoding.stop()
        raise
      yield Upload(sound, name, {key: str(x) for key, x in texts.items()})


class _Decoding:
  """The decoding of a file, which another thread may stop."""

  def __init__(self, upload: UploadFile, name: str, folder: pathlib.Path):
    self._upload, self._name, self._folder = upload, name, folder
    self._stop, self._running = threading.Event(), threading.Lock()

  def run(self) -> Audio:
    """Return the sound."""
    # The name of a partial file: if the process is killed, the next one that
    # opens the session removes it.
    path = self._folder / part_name()
    remove = functools.partial(path.unlink, missing_ok=True)
    with self._running, locks.made(self._folder), signals.cleanup(remove):
      if self._stop.is_set():
        raise ValueError(f"{self._name} was not decoded: the studio has ended")
      with open(path, "wb") as file:
        shutil.copyfileobj(self._upload.file, file)
      return isolated.read(path, self._name, longest=LONGEST, stop=self._stop)

  def stop(self) -> None:
    """End it, and wait until its files are removed."""
    self._stop.set()
    if self._running.acquire(timeout=_GRACE):
      self._running.release()


def _stem(name: str) -> str:
  """Return the name of a client's file without its folders and suffix."""
  last = name.replace("\\", "/").rpartition("/")[2]
  return last.rpartition(".")[0] or last


def _shown(name: str) -> str:
  """Return a name for display: one line, not long, not empty."""
  plain = "".join(x for x in name if x.isprintable()).strip()
  return plain[:_MOST_NAME] or "audio"
