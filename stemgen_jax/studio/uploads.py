"""Uploaded files: written to the song's folder, decoded, and deleted."""

import contextlib
import pathlib
import shutil
from collections.abc import AsyncIterator
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from stemgen_jax import locks
from stemgen_jax.audio import LONGEST, Audio, isolated
from stemgen_jax.studio.errors import RequestError
from stemgen_jax.whole_files import part_name

MOST_BYTES = 400_000_000
_MOST_FIELD = 1024  # bytes
_MOST_NAME = 60  # characters


class Upload(NamedTuple):
  """A decoded file and the other fields of its form."""

  sound: Audio
  name: str
  fields: dict[str, str]


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
    RequestError: the form has other fields, or no file.
    ValueError: the file is not audio that can be decoded.
  """
  async with request.form(
    max_files=1, max_fields=len(fields), max_part_size=_MOST_FIELD
  ) as form:
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
    sound = await run_in_threadpool(_decode, upload, name, folder)
    yield Upload(sound, name, {key: str(x) for key, x in texts.items()})


def _decode(upload: UploadFile, name: str, folder: pathlib.Path) -> Audio:
  # The name of a partial file: if the process is killed, the next one that
  # opens the session removes it.
  path = folder / part_name()
  with locks.made(folder):
    try:
      with open(path, "wb") as file:
        shutil.copyfileobj(upload.file, file)
      return isolated.read(path, name, longest=LONGEST)
    finally:
      path.unlink(missing_ok=True)


def _stem(name: str) -> str:
  """Return the name of a client's file without its folders and suffix."""
  last = name.replace("\\", "/").rpartition("/")[2]
  return last.rpartition(".")[0] or last


def _shown(name: str) -> str:
  """Return a name for people: one line, not long, not empty."""
  plain = "".join(x for x in name if x.isprintable()).strip()
  return plain[:_MOST_NAME] or "audio"
