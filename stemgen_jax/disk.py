"""Files: find them, check and write them whole, and read what others wrote.

Every file of JSON, arrays or tensors is read here, within limits of size and
depth and without unpickling, so that a corrupt file gives one ValueError.
"""

import contextlib
import difflib
import glob
import hashlib
import json
import math
import os
import pathlib
import secrets
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

Path = str | os.PathLike[str]

# Limits of files that are read, far above those that are written here.
_MOST_JSON = 1 << 28  # bytes
_MOST_ARRAYS = 1 << 33  # bytes of the arrays of an .npz, decompressed
_DEEPEST = 64  # JSON values within each other


def matching(pattern: str) -> list[pathlib.Path]:
  """Return the files that match a pattern such as "loops/*.wav", sorted.

  Raises:
    FileNotFoundError: no file matches.
  """
  found = sorted(map(pathlib.Path, glob.glob(pattern)))
  if not found:
    raise FileNotFoundError(f"--files={pattern}: no such file")
  return found


def similar(path: pathlib.Path) -> str:
  """Return the nearest name in the folder of a missing file, for messages."""
  if not path.parent.is_dir():
    return f" (no folder {path.parent})"
  try:
    names = os.listdir(path.parent)
  except OSError:
    return ""
  near = difflib.get_close_matches(path.name, names, 1)
  return f"; did you mean {path.with_name(near[0])}?" if near else ""


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield a temporary path, which is renamed to `path` on success."""
  # In the same folder, as a rename is atomic only within a file system.
  temporary = path.with_name(f".{secrets.token_hex(8)}.part")
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def checksum(path: Path) -> str:
  """Return the sha256 of a file in hexadecimal digits."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: pathlib.Path, value: Any) -> None:
  """Write a JSON file, whole or not at all; NaN and infinity as null."""
  text = json.dumps(_finite_or_null(value), indent=2, allow_nan=False)
  write_text(path, text + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
  """Write a text file in UTF-8, whole or not at all."""
  with replacing(path) as partial:
    partial.write_text(text, encoding="utf-8")


def read_log(path: Path) -> list[dict[str, Any]]:
  """Return the lines of a log of JSON objects; none if there is no file."""
  path = pathlib.Path(path)
  lines = []
  for line in path.read_text().splitlines() if path.exists() else ():
    # A killed run was writing the line that is incomplete.
    with contextlib.suppress(ValueError):
      lines.append(json.loads(line))
  return lines


def cut_log(path: pathlib.Path, keep: Callable[[dict[str, Any]], bool]) -> None:
  """Rewrite a log with the lines to keep; it is made if necessary."""
  lines = (json.dumps(line) + "\n" for line in read_log(path) if keep(line))
  write_text(path, "".join(lines))


def check_writable(
  path: Path, overwrite: bool, suffixes: Sequence[str]
) -> pathlib.Path:
  """Check that `path` can be written, without changing an existing file.

  Raises:
    ValueError: the suffix is not one of `suffixes`.
    FileExistsError: the file exists and `overwrite` is False.
    FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError,
      OSError: the folder is missing or not writable.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    raise IsADirectoryError(f"{path} is a folder: expected a file name")
  if path.suffix.lower() not in suffixes:
    raise ValueError(
      f"{path}: cannot write {path.suffix or 'a file without suffix'}; "
      f"expected {' or '.join(suffixes)}"
    )
  folder = path.parent
  if not folder.is_dir():
    nearest = next((p for p in path.parents if p.exists()), folder)
    if nearest.is_file():
      raise NotADirectoryError(f"{path}: {nearest} is a file, not a folder")
    raise FileNotFoundError(f"no such folder: {folder}; make it first")
  if path.exists() and not overwrite:
    raise FileExistsError(
      f"{path} exists: choose another name, or replace it by --overwrite "
      "(overwrite=True in Python)"
    )
  _probe(folder)
  return path


def check_folder(folder: Path) -> pathlib.Path:
  """Check that a folder exists or can be made, and is writable.

  Raises:
    NotADirectoryError: the folder, or one that it would be in, is a file.
    OSError: the folder is not writable.
  """
  folder = pathlib.Path(folder)
  nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
  if not nearest.is_dir():
    raise NotADirectoryError(f"{folder}: {nearest} is a file, not a folder")
  _probe(nearest)
  return folder


def _probe(folder: pathlib.Path) -> None:
  # Write a file: permission bits do not show root, read-only mounts and full
  # disks.
  probe = folder / f".{secrets.token_hex(8)}.part"
  try:
    probe.touch(exist_ok=False)
    probe.unlink()
  except OSError as error:
    raise type(error)(f"cannot write to {folder}: {error.strerror}") from error


def _finite_or_null(value: Any) -> Any:
  if isinstance(value, dict):
    return {name: _finite_or_null(entry) for name, entry in value.items()}
  if isinstance(value, list | tuple):
    return [_finite_or_null(entry) for entry in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


def read_json(path: Path, fix: str) -> dict[str, Any]:
  """Read a JSON object; `fix` is the advice of the error.

  Raises:
    ValueError: the file cannot be read or is corrupt.
  """
  with _reading(path, fix), open(path, "rb") as file:
    value = _parse(file.read(_MOST_JSON + 1))
    if not isinstance(value, dict):
      raise ValueError("expected a JSON object")
  return value


def read_npz(
  path: Path,
  fix: str,
  names: Collection[str] = (),
  *,
  optional: Collection[str] = (),
  described: Collection[str] = (),
) -> dict[str, Any]:
  """Read arrays of an .npz file by name.

  Args:
    path: the file.
    fix: advice of the error.
    names: arrays to read; all by default.
    optional: those of `names` that may be missing.
    described: those that are a string of JSON, to be parsed.

  Raises:
    ValueError: the file cannot be read or is corrupt.
  """
  with _reading(path, fix), open_npz(path) as file:
    if sum(part.file_size for part in file.zip.infolist()) > _MOST_ARRAYS:
      raise ValueError(f"its arrays have more than {_MOST_ARRAYS} bytes")
    found = {
      name: file[name]
      for name in names or file.files
      if name in file or name not in optional
    }
    return found | {name: _parse(str(found[name])) for name in described}


def open_npz(path: Path) -> Any:
  """Open an .npz file as a context manager that maps names to arrays."""
  # numpy's message for other files recommends to unpickle them.
  if os.path.isfile(path) and not zipfile.is_zipfile(path):
    raise zipfile.BadZipFile("not an .npz file")
  return np.load(path, allow_pickle=False)


def read_npy(path: Path, fix: str) -> np.ndarray:
  """Return the array of an .npy file, memory-mapped; errors as `read_npz`."""
  with _reading(path, fix):
    # Mapped, an array that its header calls larger than the file is an error.
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_tensors(path: Path, fix: str, framework: str = "np") -> dict[str, Any]:
  """Read a safetensors file by name, for numpy or "pt"; errors likewise."""
  with open_tensors(path, fix, framework) as file:
    return {name: file.get_tensor(name) for name in file.offset_keys()}


@contextlib.contextmanager
def open_tensors(path: Path, fix: str, framework: str = "np") -> Iterator[Any]:
  """Open a safetensors file; only read from it inside, as any error counts."""
  import safetensors

  with _reading(path, fix), safetensors.safe_open(path, framework) as file:
    yield file


@contextlib.contextmanager
def _reading(path: Path, fix: str) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    reason = error.strerror or error
    raise ValueError(f"{path} cannot be read ({reason}): {fix}") from error
  except Exception as error:  # the libraries raise many, undocumented
    reason = str(error) or type(error).__name__
    raise ValueError(f"{path} is corrupt ({reason}): {fix}") from error


def _parse(text: str | bytes) -> Any:
  if len(text) > _MOST_JSON:
    raise ValueError(f"more than {_MOST_JSON} bytes of JSON")
  value = json.loads(text)
  if _depth(value) > _DEEPEST:
    raise ValueError(f"JSON of more than {_DEEPEST} levels")
  return value


def _depth(value: Any) -> int:
  inner = value.values() if isinstance(value, dict) else value
  if not isinstance(value, dict | list):
    return 0
  return 1 + max(map(_depth, inner), default=0)
