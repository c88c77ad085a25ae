"""One file from the web: resumed, checked, and there whole or not at all."""

import contextlib
import hashlib
import os
import pathlib
import re
import sys

import filelock
import requests
import tqdm

_TIMEOUT = 10, 60  # seconds to connect, and between two pieces
_PIECE = 1 << 16  # What is lost when a connection breaks is less.
_SHA256 = re.compile(r"[0-9a-f]{64}")


def download(url: str, path: pathlib.Path, checksum: str = "") -> None:
  """Fetches a file, or the rest of one that was begun; none that is there.

  What has come is kept beside `path` in a file that ends in .partial; it gets
  its name when it is complete and its checksum is right.

  Args:
    url: of the file; redirections are followed.
    path: where it goes.
    checksum: its sha256 in hex, or the beginning of it. A checksum that the
      server states, as the Hugging Face Hub does, is verified as well.

  Raises:
    OSError: the server is out of reach, refuses, states no checksum where
      none is given, or broke off; calling again goes on where it stopped.
    ValueError: the checksum is wrong. What came is deleted.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  # Others of this machine, or of a shared disk, may want the same file.
  with filelock.FileLock(path.with_name(f"{path.name}.lock")):
    if not path.exists():
      _download(url, path, checksum)


def _download(url: str, path: pathlib.Path, checksum: str) -> None:
  partial = path.with_name(f"{path.name}.partial")
  done = partial.stat().st_size if partial.exists() else 0
  headers = {"Accept-Encoding": "identity"}  # Sizes are those of the file.
  if done:
    headers["Range"] = f"bytes={done}-"
  with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as got:
    stated = {checksum, *_stated_checksums(got)} - {""}
    if got.ok and not stated:
      raise OSError(f"{url} comes without a checksum: it could not be verified")
    if got.status_code == requests.codes.requested_range_not_satisfiable:
      total = _total(got)  # Of "bytes */TOTAL".
      if total != done:
        partial.unlink()
        raise OSError(
          f"{partial} has {done} bytes, {url} has {total}: it is deleted; try"
          " again"
        )
    else:
      got.raise_for_status()
      if got.status_code != requests.codes.partial_content:
        done = 0  # The server cannot go on in the middle.
      _append(got, partial, done)
  _verify(partial, stated, url)
  os.replace(partial, path)


def _append(
  response: requests.Response, partial: pathlib.Path, done: int
) -> None:
  """Writes the body behind the first `done` bytes."""
  length = response.headers.get("Content-Length")
  total = done + int(length) if length else None
  with (
    open(partial, "r+b" if done else "wb") as file,
    tqdm.tqdm(
      desc=partial.stem,
      total=total,
      initial=done,
      unit="B",
      unit_scale=True,
      mininterval=0.2 if sys.stderr.isatty() else 30,
    ) as bar,
  ):
    file.seek(done)
    for piece in response.iter_content(_PIECE):
      file.write(piece)
      bar.update(len(piece))
  size = partial.stat().st_size
  if total is not None and size != total:
    raise OSError(f"{response.url} broke off after {size} of {total} bytes")


def _stated_checksums(response: requests.Response) -> set[str]:
  """What the Hub says of a large file, on the way to where it lies."""
  stated = set()
  for answer in (*response.history, response):
    value = answer.headers.get("X-Linked-Etag", "").strip('"')
    if _SHA256.fullmatch(value):
      stated.add(value)
  return stated


def _total(response: requests.Response) -> int | None:
  with contextlib.suppress(ValueError):
    return int(response.headers.get("Content-Range", "").rpartition("/")[2])
  return None


def _verify(partial: pathlib.Path, stated: set[str], url: str) -> None:
  with open(partial, "rb") as file:
    actual = hashlib.file_digest(file, "sha256").hexdigest()
  for checksum in stated:
    if not actual.startswith(checksum):
      partial.unlink()
      raise ValueError(
        f"{url} came with sha256 {actual[:12]}, its publisher states"
        f" {checksum[:12]}: it is deleted; try again"
      )
