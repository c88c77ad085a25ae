"""Find the weights of the published codecs, and show their licences.

Places, in this order: the path given, the cache folder, the publisher. Next to
a file in the cache is a record of its checksum, by which it is verified when
its size or time has changed, and of the revision that it was downloaded at,
which a later download gets again.
"""

import contextlib
import dataclasses
import pathlib
import sys
from typing import Any

from stemgen_jax import disk, paths

_META = "https://dl.fbaipublicfiles.com/encodec/v0"
_ENCODEC_TERMS = (
  "their publisher states no licence for the weights alone; the repository"
  " facebookresearch/encodec is MIT since April 2023, the `encodec` 0.1.1"
  " package on PyPI 'Creative Commons Attribution-NonCommercial 4.0"
  " International'"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
  """A publisher's file.

  Attributes:
    file: file name.
    folder: address of its folder; without "://", a repository of the Hugging
      Face Hub, which states checksums itself.
    megabytes: size.
    licence: licence as its publisher states it.
    checksum: its sha256, or the beginning that its publisher states.
  """

  file: str
  folder: str
  megabytes: int
  licence: str
  checksum: str = ""

  @property
  def url(self) -> str:
    """Address of the file; HF_ENDPOINT names another Hub."""
    return self.url_at("main")

  def url_at(self, revision: str) -> str:
    """Address of the file at a revision of its repository."""
    if "://" in self.folder:
      return f"{self.folder}/{self.file}"
    return (
      f"{paths.hub_endpoint()}/{self.folder}/resolve/{revision}/{self.file}"
    )


PUBLISHED = {
  "encodec_24khz": Weights(
    file="encodec_24khz-d7cc33bc.th",
    folder=_META,
    megabytes=93,
    licence=_ENCODEC_TERMS,
    # The file's name has the beginning; other projects' sources, the rest.
    checksum="d7cc33bcf1aad7f2dad9836f36431530744abeace3ca033005e3290ed4fa47bf",
  ),
  "encodec_32khz": Weights(
    file="model.safetensors",
    folder="facebook/encodec_32khz",
    megabytes=236,
    licence="CC BY-NC 4.0, as MusicGen's other weights: not for commercial use",
  ),
  "encodec_48khz": Weights(
    file="encodec_48khz-7e698e3e.th",
    folder=_META,
    megabytes=76,
    licence=_ENCODEC_TERMS,
    checksum="7e698e3e",
  ),
}

# Files of the other layouts; see `key_mapping`.
_OTHER_FILES = (
  "model.safetensors",
  "compression_state_dict.bin",
  "state_dict.bin",
)


def cached(name: str) -> pathlib.Path | None:
  """Return the file of a published codec in the cache folder, if any.

  Raises:
    ValueError: the file was changed.
  """
  path = _in_place(paths.cache_folder() / name, PUBLISHED[name])
  if path is not None:
    known = path.name == PUBLISHED[name].file
    _verify(path, PUBLISHED[name].checksum if known else "")
  return path


def find(name: str, given: str = "") -> pathlib.Path:
  """Return the file of a published codec; download it if necessary.

  The licence is printed the first time, and stored in the cache folder.

  Args:
    name: key of `PUBLISHED`.
    given: file of any layout, or a folder with one; no other place is tried.

  Raises:
    FileNotFoundError: no file was found and none could be downloaded; the
      message has instructions.
    ValueError: the file or the download is corrupt.
  """
  weights = PUBLISHED[name]
  folder = paths.cache_folder() / name
  if given:
    path = _in_place(pathlib.Path(given).expanduser(), weights)
    if path is None:
      raise FileNotFoundError(
        f"no weights of {name} at {given}: expected a file, or a folder with"
        f" {' or '.join(_files(weights))}"
      )
  else:
    path = cached(name)
  _show_licence(name, weights, folder)
  return path or _download(name, weights, folder)


def _in_place(place: pathlib.Path, weights: Weights) -> pathlib.Path | None:
  if place.is_file():
    return place
  # `place` is a folder, or does not exist.
  candidates = (place / file for file in _files(weights))
  return next((path for path in candidates if path.is_file()), None)


def _files(weights: Weights) -> list[str]:
  return list(dict.fromkeys((weights.file, *_OTHER_FILES)))


def _download(
  name: str, weights: Weights, folder: pathlib.Path
) -> pathlib.Path:
  # requests takes a while to import, and is needed once per machine.
  from stemgen_jax.web.download import download

  path = folder / weights.file
  record = _record(path)
  revision = record.get("revision") or "main"
  checksum = record.get("sha256") or weights.checksum
  try:
    revision = download(weights.url_at(revision), path, checksum) or revision
  except OSError as error:
    reason = str(error).partition("\n")[0]
    raise FileNotFoundError(
      f"no weights of {name}, and no download ({reason[:160]}): put "
      f"{weights.file} ({weights.megabytes} MB, from {weights.url}) into "
      f"{folder}, or give its path, as {name}:PATH; its licence: "
      f"{weights.licence}"
    ) from error
  _write_record(path, disk.checksum(path), revision)
  return path


def _verify(path: pathlib.Path, checksum: str) -> None:
  """Raise ValueError if a file is not the one that was downloaded or put there.

  Args:
    path: the file.
    checksum: sha256 of the published file, or its beginning; "" if unknown.
  """
  record = _record(path)
  if record.get("state") == _state(path):
    return
  actual = disk.checksum(path)
  for expected in {checksum, record.get("sha256", "")}:
    if not actual.startswith(expected):
      raise ValueError(
        f"{path} has sha256 {actual[:12]}, expected {expected[:12]}: delete it "
        f"to download it again; if you replaced it, delete {_record_of(path)}"
      )
  _write_record(path, actual, record.get("revision", ""))


def _state(path: pathlib.Path) -> list[int]:
  status = path.stat()
  return [status.st_size, status.st_mtime_ns]


def _record_of(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(f"{path.name}.record.json")


def _record(path: pathlib.Path) -> dict[str, Any]:
  try:
    record = disk.read_json(_record_of(path), "")
  except ValueError:  # none yet, or corrupt
    return {}
  texts = (record.get("sha256", ""), record.get("revision", ""))
  return record if all(isinstance(text, str) for text in texts) else {}


def _write_record(path: pathlib.Path, checksum: str, revision: str) -> None:
  record = {"sha256": checksum, "state": _state(path), "revision": revision}
  with contextlib.suppress(OSError):  # a cache that is not writable
    disk.write_json(_record_of(path), record)


def _show_licence(name: str, weights: Weights, folder: pathlib.Path) -> None:
  """Print the licence unless the cache folder has it already."""
  notice = folder / "LICENCE.txt"
  text = f"weights of {name}, {weights.url}: {weights.licence}\n"
  if notice.is_file() and notice.read_text(encoding="utf-8") == text:
    return
  print(f"licence: {text}", end="", file=sys.stderr)
  with contextlib.suppress(OSError):  # a cache that is not writable
    folder.mkdir(parents=True, exist_ok=True)
    notice.write_text(text, encoding="utf-8")
