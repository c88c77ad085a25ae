"""A folder of songs: one folder per song, with an audio file per stem.

    my_songs/First Song/bass.wav, Lead Guitar.flac, Drums/kick.wav, ...

What plays is told by the file's name, or by a table, my_songs/stems.csv:

    song,file,category,target,split,genre,role
    First Song,take 7.wav,guitar,yes,train,rock
"""

import csv
import dataclasses
import pathlib
import re
from collections.abc import Iterator

from stemgen_jax import categories
from stemgen_jax.data import multitracks
from stemgen_jax.data.songs import SPLITS, Problem, Song, Stem

TABLE = "stems.csv"
_NEEDED = ("song", "file", "category")
_COLUMNS = (*_NEEDED, "target", "split", "genre", "role")
# Folders of a root that is split already, as people call them.
_SPLIT_NAMES = {
  "train": "train",
  "valid": "valid",
  "validation": "valid",
  "val": "valid",
  "test": "test",
}
_NO_STEM = re.compile(
  r"mix|mixture|mixdown|master|instrumental|click|metronome", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Folder:
  """A folder of songs: a `songs.Songs`.

  A folder within a song's that is called by an instrument ("Drums") is one
  stem, the sum of its files; files of any other are stems of their own. Mixes
  and click tracks are left out; a name that says nothing is "other".

  The split is that of the folder where songs lie in train/, valid/, test/, or
  of the table; otherwise it follows from the song's name: a tenth each.

  Attributes:
    root: the folder.
    vocals: whether vocals may be what is to be played; they are heard anyway.

  Raises:
    ValueError: no songs in it, or a mistake in the table; names the line.
    FileNotFoundError, NotADirectoryError: there is no such folder.
  """

  root: str
  vocals: bool = False

  def __post_init__(self):
    root = multitracks.check_root(self.root, "your songs")
    if (root / TABLE).is_file():
      _read_table(root / TABLE)
    elif not self._places():
      raise ValueError(
        f"--root={self.root} holds no songs: expected a folder for each song, "
        f"with audio files of its stems, or {TABLE}"
      )

  @property
  def name(self) -> str:
    """The folder's name, as letters, digits and underscores."""
    plain = re.sub(r"\W+", "_", pathlib.Path(self.root).resolve().name)
    return plain.strip("_").lower() or "folder"

  def songs(self) -> Iterator[Song]:
    """All songs, by name."""
    root = pathlib.Path(self.root)
    if (root / TABLE).is_file():
      yield from self._listed(root)
      return
    for folder, split in self._places():
      stems, problems = multitracks.sorted_out(self._stems(folder))
      split = split or multitracks.split_of(folder.name)
      yield Song(folder.name, split, "other", stems, problems)

  def _places(self) -> list[tuple[pathlib.Path, str | None]]:
    """The songs' folders, and their split where the folder tells it."""
    found = []
    for folder in multitracks.folders(pathlib.Path(self.root)):
      split = _SPLIT_NAMES.get(folder.name.lower())
      if split and not multitracks.audio_files(folder):
        found += [(inner, split) for inner in multitracks.folders(folder)]
      else:
        found.append((folder, None))
    return found

  def _stems(
    self, song: pathlib.Path, folder: pathlib.Path | None = None
  ) -> Iterator[Stem | Problem]:
    """The stems in a folder of the song, and in those within it."""
    folder = folder or song
    for file in multitracks.audio_files(folder):
      yield self._stem(song, file, [file])
    for inner in multitracks.folders(folder):
      files = multitracks.audio_files(inner, nested=True)
      if files and categories.find_category(inner.name):
        yield self._stem(song, inner, files)
      else:
        yield from self._stems(song, inner)

  def _stem(
    self, song: pathlib.Path, path: pathlib.Path, files: list[pathlib.Path]
  ) -> Stem | Problem:
    name = path.relative_to(song).as_posix()
    said = path.stem if path.is_file() else path.name
    # A song called "Piano Man" has more stems than a piano. Whole words only:
    # in one called "A" a bass stays a bass.
    title = rf"(?<![^\W_]){re.escape(song.name)}(?![^\W_])"
    rest = re.sub(title, " ", said, flags=re.IGNORECASE)
    said = rest if re.search(r"[^\W_]", rest) else said
    category = categories.find_category(said)
    if category is None and _NO_STEM.search(said):
      return Problem(
        "mix or click", f"not taken for a stem: {path}", name, False
      )
    vocal = categories.is_vocal(said)
    return multitracks.stem(
      name, category or "other", files, target=self.vocals or not vocal
    )

  def _listed(self, root: pathlib.Path) -> Iterator[Song]:
    """The songs of the table."""
    rows: dict[str, list[dict[str, str]]] = {}
    for row in _read_table(root / TABLE):
      rows.setdefault(row["song"], []).append(row)
    for song_id, listed in rows.items():
      found = [self._row(root / song_id, row) for row in listed]
      stems, problems = multitracks.sorted_out(found)
      split = next((row["split"] for row in listed if row["split"]), "")
      genre = next((row["genre"] for row in listed if row["genre"]), "other")
      yield Song(
        song_id,
        split or multitracks.split_of(song_id),
        genre,
        stems,
        problems,
      )

  def _row(self, song: pathlib.Path, row: dict[str, str]) -> Stem | Problem:
    path = song / row["file"]
    files = [path]
    if path.is_dir():
      files = multitracks.audio_files(path, nested=True) or [path]
    vocal = categories.is_vocal(f"{row['file']} {row['category']}")
    target = row["target"] == "yes" or (
      not row["target"] and (self.vocals or not vocal)
    )
    category = categories.parse_category(row["category"])
    return multitracks.stem(
      row["file"], category, files, target=target, role=row["role"]
    )


def _read_table(path: pathlib.Path) -> list[dict[str, str]]:
  """The rows of stems.csv.

  Raises:
    ValueError: a column is missing or unknown, or a value is.
  """
  try:
    with open(path, newline="", encoding="utf-8-sig") as file:
      reader = csv.DictReader(file)
      columns = [name.strip() for name in reader.fieldnames or ()]
      reader.fieldnames = columns
      read = [(reader.line_num, row) for row in reader]
  except UnicodeDecodeError as error:
    raise ValueError(f"{path} is not UTF-8 text: save it as CSV") from error
  missing = [name for name in _NEEDED if name not in columns]
  unknown = [name for name in columns if name not in _COLUMNS]
  if missing or unknown:
    raise ValueError(
      f"{path} has columns {', '.join(columns) or 'none'}: expected "
      f"{', '.join(_NEEDED)}, and may have {', '.join(_COLUMNS[3:])}"
    )
  if not read:
    raise ValueError(f"{path} lists no stems: expected a line for each")
  rows, seen = [], set()
  for line, raw in read:
    row = {name: (raw.get(name) or "").strip() for name in _COLUMNS}
    try:
      _check(row)
      if (row["song"], row["file"]) in seen:
        raise ValueError(f"{row['song']}/{row['file']} is listed twice")
    except ValueError as error:
      raise ValueError(f"{path}, line {line}: {error}") from error
    seen.add((row["song"], row["file"]))
    rows.append(row)
  return rows


def _check(row: dict[str, str]) -> None:
  """Raises ValueError for a value that cannot be; makes names ours."""
  for name in _NEEDED:
    if not row[name]:
      raise ValueError(f"no {name}")
  categories.parse_category(row["category"])
  if row["genre"]:
    row["genre"] = categories.parse_genre(row["genre"])
  if row["role"]:
    row["role"] = categories.parse_role(row["role"])
  if row["split"]:
    row["split"] = _SPLIT_NAMES.get(row["split"].lower(), row["split"])
  for name, known in (("target", ("yes", "no")), ("split", SPLITS)):
    row[name] = row[name].lower()
    if row[name] and row[name] not in known:
      raise ValueError(
        f"{name} is {row[name]!r}, expected {' or '.join(known)}"
      )
