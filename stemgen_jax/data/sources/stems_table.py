"""stems.csv, a table of the instruments in a folder of songs."""

import pathlib

from stemgen_jax import categories, disk
from stemgen_jax.data.songs import SPLITS

# Name of the table, in the folder of the songs.
FILE = "stems.csv"
_NEEDED = ("song", "file", "category")
# Columns of the table; the first three are required.
COLUMNS = (*_NEEDED, "target", "split", "genre", "role")
_OF_STEMS = ("category", "target", "role")
# Value of `category` for a file that is not a stem.
NONE = "none"
# Names of splits in tables and folders -> one of `songs.SPLITS`.
SPLIT_NAMES = {name: name for name in SPLITS}
SPLIT_NAMES |= {"validation": "valid", "val": "valid"}


def read(path: pathlib.Path) -> list[dict[str, str]]:
  """Read the rows of stems.csv, each with its line number as "line".

  Raises:
    ValueError: a column or a value is missing or unknown.
  """
  columns, read = disk.read_csv(path, "correct the table")
  missing = [name for name in _NEEDED if name not in columns]
  unknown = [name for name in columns if name not in COLUMNS]
  if missing or unknown:
    raise ValueError(
      f"{path} has columns {', '.join(columns) or 'none'}: expected "
      f"{', '.join(_NEEDED)}, and may have {', '.join(COLUMNS[3:])}"
    )
  if not read:
    raise ValueError(f"{path} lists no stems: expected one line per stem")
  rows = []
  for line, raw in read:
    row = {name: raw.get(name, "").strip() for name in COLUMNS}
    try:
      _check(row)
    except ValueError as error:
      raise ValueError(f"{path}, line {line}: {error}") from error
    rows.append(row | {"line": str(line)})
  return rows


def _check(row: dict[str, str]) -> None:
  """Raise ValueError for an invalid value; replace names by known ones."""
  if not row["song"]:
    raise ValueError("no song")
  song = pathlib.PurePath(row["song"])
  if song.is_absolute() or not song.parts or ".." in song.parts:
    raise ValueError(f"song {row['song']}: expected a folder within --root")
  if not row["file"] and any(row[name] for name in _OF_STEMS):
    raise ValueError(
      "no file: expected one, or only the song's split and genre"
    )
  if row["category"] and row["category"].lower() != NONE:
    categories.parse_category(row["category"])
  else:
    row["category"] = row["category"].lower()
  if row["genre"]:
    row["genre"] = categories.parse_genre(row["genre"])
  if row["role"]:
    row["role"] = categories.parse_role(row["role"])
  if row["split"]:
    row["split"] = SPLIT_NAMES.get(row["split"].lower(), row["split"])
  for name, known in (("target", ("yes", "no")), ("split", SPLITS)):
    row[name] = row[name].lower()
    if row[name] and row[name] not in known:
      raise ValueError(
        f"{name} is {row[name]!r}, expected {' or '.join(known)}"
      )
