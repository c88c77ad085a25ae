"""Files: find them, check and write them whole, and read what others wrote.

Every file of JSON, YAML, CSV, arrays or tensors is read here, within limits of
size and depth and without unpickling, so that a corrupt file gives one
ValueError, soon and in less than 1 GB of memory.
"""

import codecs
import contextlib
import csv
import difflib
import glob
import hashlib
import io
import json
import math
import os
import pathlib
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from stemgen_jax.whole_files import is_full as is_full
from stemgen_jax.whole_files import part_name, replacing_pair
from stemgen_jax.whole_files import remove_leftovers as remove_leftovers
from stemgen_jax.whole_files import replacing as replacing
from stemgen_jax.whole_files import why_full as why_full

Path = str | os.PathLike[str]

# Limits of files that are read, far above those that are written here.
_MOST_JSON = 3 << 24  # bytes
_MOST_CONTAINERS = 1 << 21  # objects and lists of JSON, some 70 bytes each
_MOST_YAML = 1 << 20  # bytes
_MOST_CSV = 1 << 26  # bytes
_MOST_ROWS = 1 << 20
_MOST_INFLATED = 1 << 28  # bytes of the arrays of a compressed .npz
_DEEPEST = 64  # values of JSON or YAML within each other


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


def checksum(path: Path) -> str:
  """Return the sha256 of a file in hexadecimal digits."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: pathlib.Path, value: Any) -> None:
  """Write a JSON file, whole or not at all; NaN and infinity as null."""
  write_text(path, _as_text(value))


def write_described(path: pathlib.Path, data: bytes, about: Any) -> None:
  """Write a file and, next to it, its description as JSON: both or neither.

  Args:
    path: the file; the suffix of its description is .json.
    data: its content.
    about: description, with a checksum of the content.
  """
  with replacing_pair(path, path.with_suffix(".json")) as (part, part_about):
    part.write(data)
    part_about.write(_as_text(about).encode())


def _as_text(value: Any) -> str:
  return json.dumps(as_stored(value), indent=2, allow_nan=False) + "\n"


def write_text(path: pathlib.Path, text: str) -> None:
  """Write a text file in UTF-8, whole or not at all."""
  with replacing(path) as file:
    # Names of files need not be UTF-8.
    file.write(text.encode(errors="backslashreplace"))


def read_log(path: Path) -> list[dict[str, Any]]:
  """Return the lines of a log of JSON objects; none if there is no file."""
  path = pathlib.Path(path)
  lines = []
  for line in path.read_bytes().splitlines() if path.exists() else ():
    # A killed run was writing the line that is incomplete.
    with contextlib.suppress(ValueError):
      if isinstance(value := parse_json(line), dict):
        lines.append(value)
  return lines


def cut_log(path: pathlib.Path, keep: Callable[[dict[str, Any]], bool]) -> None:
  """Rewrite a log with the lines to keep; it is made if necessary."""
  lines = (json.dumps(line) + "\n" for line in read_log(path) if keep(line))
  write_text(path, "".join(lines))


def check_writable(
  path: Path, overwrite: bool, suffixes: Sequence[str]
) -> pathlib.Path:
  """Check that `path` can be written, without a change; see `replacing`.

  Raises:
    ValueError: the suffix is not one of `suffixes`.
    FileExistsError: the file exists and `overwrite` is False.
    IsADirectoryError: the path is a folder.
    NotADirectoryError, OSError: see `check_folder`.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    raise IsADirectoryError(f"{path} is a folder: expected a file name")
  if path.suffix.lower() not in suffixes:
    raise ValueError(
      f"{path}: cannot write {path.suffix or 'a file without suffix'}; "
      f"expected {' or '.join(suffixes)}"
    )
  check_folder(path.parent)
  if path.exists() and not overwrite:
    raise FileExistsError(
      f"{path} exists: choose another name, or replace it by --overwrite "
      "(overwrite=True in Python)"
    )
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
  probe = folder / part_name()
  try:
    probe.touch(exist_ok=False)
    probe.unlink()
  except OSError as error:
    raise type(error)(f"cannot write to {folder}: {error.strerror}") from error


def parse_json(text: str | bytes) -> Any:
  """Return the value of a text of JSON.

  Raises:
    ValueError: it is not JSON, or exceeds the limits.
  """
  if len(text) > _MOST_JSON:
    raise ValueError(f"more than {_MOST_JSON} bytes of JSON")
  starts = ("[", "{") if isinstance(text, str) else (b"[", b"{")
  if sum(map(text.count, starts)) > _MOST_CONTAINERS:  # type: ignore
    raise ValueError(f"more than {_MOST_CONTAINERS} lists of JSON")
  value = None
  try:
    value = json.loads(text)
    deep = _depth(value) > _DEEPEST
  except RecursionError:
    deep = True
  if deep:
    raise ValueError(f"JSON of more than {_DEEPEST} levels")
  return value


def as_stored(value: Any) -> Any:
  """Return a value as `write_json` stores it: NaN and infinity as None."""
  if isinstance(value, dict):
    return {name: as_stored(entry) for name, entry in value.items()}
  if isinstance(value, list | tuple):
    return [as_stored(entry) for entry in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


def read_json(path: Path, fix: str) -> dict[str, Any]:
  """Read a JSON object; `fix` is the advice of the error.

  Raises:
    ValueError: the file cannot be read or is corrupt.
  """
  with _reading(path, fix), open(path, "rb") as file:
    value = parse_json(file.read(_MOST_JSON + 1))
    if not isinstance(value, dict):
      raise ValueError("expected a JSON object")
    return value


def read_yaml(path: Path, fix: str) -> Any:
  """Read a YAML file without aliases and tags; errors as `read_json`."""
  import yaml  # of the extra for training

  # The C loader is ten times as fast.
  loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
  with _reading(path, fix), open(path, "rb") as file:
    text = file.read(_MOST_YAML + 1)
    if len(text) > _MOST_YAML:
      raise ValueError(f"more than {_MOST_YAML} bytes of YAML")
    depth = 0
    # Events first: aliases grow, and the C loader recurses without limit.
    for event in yaml.parse(text, loader):
      if isinstance(event, yaml.AliasEvent):
        raise ValueError("YAML with an alias")
      depth += isinstance(event, yaml.CollectionStartEvent)
      depth -= isinstance(event, yaml.CollectionEndEvent)
      if depth > _DEEPEST:
        raise ValueError(f"YAML of more than {_DEEPEST} levels")
    return yaml.load(text, loader)


def read_csv(
  path: Path, fix: str, fallback: str = ""
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
  """Read a table of comma, semicolon or tab separated values.

  Args:
    path: the file, in UTF-8, or in UTF-16 with a byte order mark.
    fix: advice of the error.
    fallback: encoding of a file that is in neither.

  Returns:
    Names of the columns, and the rows with their line numbers. A value that is
    missing is ""; rows without any value are left out.

  Raises:
    ValueError: the file cannot be read or is corrupt; the message has the line.
  """
  rows: list[tuple[int, dict[str, str]]] = []
  with _reading(path, fix), open(path, "rb") as raw:
    if os.fstat(raw.fileno()).st_size > _MOST_CSV:
      raise ValueError(f"more than {_MOST_CSV} bytes of CSV")
    file = io.TextIOWrapper(raw, _encoding(raw, fallback), newline="")
    head = file.readline()
    file.seek(0)
    # Spreadsheets write the separator of the country they are set to.
    comma = max(",;\t", key=head.count)
    # An unclosed quote is an error where its field is too long, or at the end.
    reader = csv.reader(file, delimiter=comma, strict=True)
    line = 1
    try:
      columns = [name.strip() for name in next(reader, [])]
      line = reader.line_num + 1
      for values in reader:
        if len(rows) >= _MOST_ROWS:
          raise ValueError(f"more than {_MOST_ROWS} rows")
        if len(values) > len(columns):
          raise ValueError(f"{len(values)} values in {len(columns)} columns")
        if any(values):  # Spreadsheets save empty rows, as ",,,".
          values += [""] * (len(columns) - len(values))
          rows.append((reader.line_num, dict(zip(columns, values))))
        line = reader.line_num + 1
    except (csv.Error, ValueError) as error:
      if isinstance(error, UnicodeDecodeError):
        raise
      raise ValueError(f"line {line}: {error}") from error
  return columns, rows


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
    # Large files of ours are hardly compressed.
    most = max(_MOST_INFLATED, 4 * os.path.getsize(path))
    if sum(part.file_size for part in file.zip.infolist()) > most:
      raise ValueError(f"its arrays have more than {most} bytes")
    for part in file.zip.infolist():
      file.zip.open(part).close()  # compares the two places of its name
    found = {
      name: file[name]
      for name in names or file.files
      if name in file or name not in optional
    }
    for name, array in found.items():
      if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is not an array")
    return found | {name: parse_json(str(found[name])) for name in described}


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
  except UnicodeDecodeError as error:
    raise ValueError(f"{path} is not UTF-8 text: {fix}, as UTF-8") from error
  except OSError as error:
    reason = error.strerror or error
    raise ValueError(f"{path} cannot be read ({reason}): {fix}") from error
  except Exception as error:  # the libraries raise many, undocumented
    # One line: YAML's errors have several.
    reason = " ".join(str(error).split()) or type(error).__name__
    raise ValueError(f"{path} is corrupt ({reason}): {fix}") from error


def _encoding(file: BinaryIO, fallback: str) -> str:
  """Return the encoding of a file that a spreadsheet may have saved."""
  start = file.read(2)
  file.seek(0)
  if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
    return "utf-16"
  try:
    if fallback:
      file.read().decode()
  except UnicodeDecodeError:
    return fallback
  finally:
    file.seek(0)
  return "utf-8-sig"


def _depth(value: Any) -> int:
  inner = value.values() if isinstance(value, dict) else value
  if not isinstance(value, dict | list):
    return 0
  return 1 + max(map(_depth, inner), default=0)
