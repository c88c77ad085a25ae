"""Download one file: resumed, checked, and written whole or not at all."""

import contextlib
import ipaddress
import os
import pathlib
import re
import urllib.parse

import filelock
import requests

from stemgen_jax import disk, progress

_TIMEOUT = 10, 60  # seconds to connect, and between two pieces
_MOST = 1 << 34  # bytes of a file
_PIECE = 1 << 16  # bytes; at most this much is lost when a connection breaks
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[0-9a-f]{40}")


class _Session(requests.Session):
  """Refuses every address, also of a redirection, that is not safe."""

  def send(self, request, **kwargs):
    check_address(request.url or "")
    return super().send(request, **kwargs)


def check_address(url: str) -> None:
  """Raise ValueError unless `url` is https, or http to this machine."""
  parts = urllib.parse.urlsplit(url)
  host = parts.hostname or ""
  local = host == "localhost"
  with contextlib.suppress(ValueError):
    local = local or ipaddress.ip_address(host).is_loopback
  if not host or not (
    parts.scheme == "https" or (parts.scheme == "http" and local)
  ):
    raise ValueError(
      f"{url}: expected https://, or http:// to this machine; HF_ENDPOINT "
      "names the Hub"
    )


def download(
  url: str,
  path: pathlib.Path,
  checksum: str | None = "",
  *,
  most: int = _MOST,
  token: str | None = None,
) -> str:
  """Download a file, or the rest of it; do nothing if `path` exists.

  A partial download is kept next to `path` in a file that ends in .partial,
  which is renamed when it is complete and its checksum is right.

  Args:
    url: address of the file, https; redirections are followed.
    path: destination.
    checksum: sha256 in hexadecimal digits, or its beginning. A checksum that
      the server states, as the Hugging Face Hub does, is verified as well.
      None if the caller verifies the content.
    most: largest size in bytes.
    token: token of a private repository; redirections elsewhere do not get it.

  Returns:
    Revision of the repository, as the Hub states it; "" if unknown.

  Raises:
    OSError: the server is unreachable, refuses, states no checksum where none
      is given, or broke off; another call resumes the download.
    ValueError: the checksum is wrong or the file too large, and the download is
      deleted; or the address is not https.
  """
  check_address(url)
  path.parent.mkdir(parents=True, exist_ok=True)
  # Other processes, on a shared disk also other machines, may want this file.
  with filelock.FileLock(path.with_name(f"{path.name}.lock")):
    return "" if path.exists() else _download(url, path, checksum, most, token)


def _download(
  url: str,
  path: pathlib.Path,
  checksum: str | None,
  most: int,
  token: str | None,
) -> str:
  partial = path.with_name(f"{path.name}.partial")
  done = partial.stat().st_size if partial.exists() else 0
  # Without compression, sizes are those of the file.
  headers = {"Accept-Encoding": "identity"}
  if done:
    headers["Range"] = f"bytes={done}-"
  if token:
    headers["Authorization"] = f"Bearer {token}"
  with (
    _Session() as session,
    session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as got,
  ):
    stated = {checksum or "", *_stated_checksums(got)} - {""}
    if got.ok and not stated and checksum is not None:
      raise OSError(f"{url} comes without a checksum: it could not be verified")
    if got.status_code == requests.codes.requested_range_not_satisfiable:
      total = _total(got)
      if total != done:
        partial.unlink()
        raise OSError(
          f"{partial} has {done} bytes; expected {total}, as {url} has: it is "
          "deleted; try again"
        )
    else:
      got.raise_for_status()
      if got.status_code != requests.codes.partial_content:
        done = 0  # The server ignored the range and sends the whole file.
      _append(got, partial, done, most)
  _verify(partial, stated, url)
  os.replace(partial, path)
  return _stated_revision(got)


def _append(
  response: requests.Response, partial: pathlib.Path, done: int, most: int
) -> None:
  """Write the body after the first `done` bytes, up to `most` in all."""
  length = response.headers.get("Content-Length")
  total = done + int(length) if length else None
  too_large = False
  with (
    open(partial, "r+b" if done else "wb") as file,
    progress.bar(
      desc=partial.stem, total=total, initial=done, unit="B", unit_scale=True
    ) as bar,
  ):
    file.seek(done)
    for piece in response.iter_content(_PIECE):
      if too_large := max(total or 0, file.tell() + len(piece)) > most:
        break
      file.write(piece)
      bar.update(len(piece))
  if too_large:
    partial.unlink()
    raise ValueError(
      f"{response.url} is larger than {most} bytes: it is not downloaded"
    )
  size = partial.stat().st_size
  if total is not None and size != total:
    raise OSError(f"{response.url} broke off after {size} of {total} bytes")


def _stated_checksums(response: requests.Response) -> set[str]:
  """Return the checksums that the Hub states while it redirects."""
  answers = (*response.history, response)
  stated = (x.headers.get("X-Linked-Etag", "").strip('"') for x in answers)
  return set(filter(_SHA256.fullmatch, stated))


def _stated_revision(response: requests.Response) -> str:
  for answer in (*response.history, response):
    revision = answer.headers.get("X-Repo-Commit", "")
    if _REVISION.fullmatch(revision):
      return revision
  return ""


def _total(response: requests.Response) -> int | None:
  # The header is "bytes */TOTAL" when the range cannot be satisfied.
  with contextlib.suppress(ValueError):
    return int(response.headers.get("Content-Range", "").rpartition("/")[2])
  return None


def _verify(partial: pathlib.Path, stated: set[str], url: str) -> None:
  actual = disk.checksum(partial)
  for checksum in stated:
    if not actual.startswith(checksum):
      partial.unlink()
      raise ValueError(
        f"{url} came with sha256 {actual[:12]}, its publisher states"
        f" {checksum[:12]}: it is deleted; try again"
      )
