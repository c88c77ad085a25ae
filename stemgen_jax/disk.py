"""Find files, check that they can be written, and write them whole."""

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
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Path = str | os.PathLike[str]


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
  with replacing(path) as partial:
    partial.write_text(text + "\n", encoding="utf-8")


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


NPZ_ERRORS = (
  EOFError,
  KeyError,
  RuntimeError,
  TypeError,
  ValueError,
  zipfile.BadZipFile,
  zlib.error,
)
"""Errors of `open_npz` and of reading arrays from a corrupt or other file."""


def open_npz(path: str | os.PathLike[str]) -> Any:
  """Open an .npz file as a context manager that maps names to arrays.

  Raises:
    One of `NPZ_ERRORS`, or an OSError.
  """
  # numpy's message for other files recommends to unpickle them.
  if os.path.isfile(path) and not zipfile.is_zipfile(path):
    raise zipfile.BadZipFile("not an .npz file")
  return np.load(path, allow_pickle=False)
