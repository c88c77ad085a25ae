"""A folder of songs: one folder per song, with an audio file per stem.

    my_songs/First Song/bass.wav, Lead Guitar.flac, Drums/kick.wav, ...

What plays is told by the file's name. A table, my_songs/stems.csv, says more of
some of the files; those that it does not name stay as they are:

    song,file,category,target,split,genre,role
    First Song,take 7.wav,guitar,yes,train,rock
    First Song,bounce 3.wav,none
    Second Song,,,,test
"""

import csv
import dataclasses
import pathlib
import re
from collections.abc import Collection, Iterator, Mapping

from stemgen_jax import categories
from stemgen_jax.data import multitracks
from stemgen_jax.data.songs import SPLITS, Problem, Song, Stem

TABLE = "stems.csv"
_NEEDED = ("song", "file", "category")
_COLUMNS = (*_NEEDED, "target", "split", "genre", "role")
_OF_STEMS = ("category", "target", "role")
_NONE = "none"  # in the place of a category: no stem
# Folders of a root that is split already, as people call them.
_SPLIT_NAMES = {
  "train": "train",
  "valid": "valid",
  "validation": "valid",
  "val": "valid",
  "test": "test",
}
_NO_ROW: Mapping[str, str] = dict.fromkeys(_COLUMNS, "")
_Listed = Mapping[pathlib.Path, Mapping[str, str]]
_NO_STEM = re.compile(
  r"mix|mixture|mixdown|master|instrumental|click|metronome", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Folder:
  """A folder of songs: a `songs.Songs`.

  A folder within a song's that is called by an instrument ("Drums") is one
  stem, the sum of its files; files of any other are stems of their own. Mixes
  and click tracks are left out; a name that says nothing is "other", which is
  told.

  A row of the table speaks of a file, or of a folder that is one stem, and
  goes before its name; without a category the name still tells that. A row
  without a file speaks of the song. "none" is a file that is no stem.

  The split is that of the table, or of the folder where songs lie in train/,
  valid/, test/; otherwise it follows from the song's name: a tenth each.

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
    multitracks.check_root(self.root, "your songs")
    if not self._places(self._table()):
      raise ValueError(
        f"--root={self.root} holds no songs: expected a folder for each song, "
        "with audio files of its stems"
      )

  @property
  def name(self) -> str:
    """The folder's name, as letters, digits and underscores."""
    plain = re.sub(r"\W+", "_", pathlib.Path(self.root).resolve().name)
    return plain.strip("_").lower() or "folder"

  def songs(self) -> Iterator[Song]:
    """All songs, by name."""
    table = self._table()
    for song_id, folder, split in self._places(table):
      rows = table.get(folder, [])
      stems, problems = multitracks.sorted_out(self._all_stems(folder, rows))
      said = {
        name: next((row[name] for row in rows if row[name]), "")
        for name in ("split", "genre")
      }
      yield Song(
        song_id,
        said["split"] or split or multitracks.split_of(song_id),
        said["genre"] or "other",
        stems,
        problems,
      )

  def _table(self) -> dict[pathlib.Path, list[dict[str, str]]]:
    """The rows of stems.csv, if there is one, by their song's folder."""
    root = pathlib.Path(self.root)
    found: dict[pathlib.Path, list[dict[str, str]]] = {}
    if (root / TABLE).is_file():
      by_name = {path.name: path for _, path, split in _walk(root) if split}
      for row in _read_table(root / TABLE):
        folder = root / row["song"]
        if not folder.is_dir():  # in train/, valid/ or test/
          folder = by_name.get(row["song"], folder)
        found.setdefault(folder, []).append(row)
    return found

  def _places(
    self, listed: Collection[pathlib.Path]
  ) -> list[tuple[str, pathlib.Path, str | None]]:
    """The songs' ids, their folders, and splits where a folder tells one."""
    root = pathlib.Path(self.root)
    places = list(_walk(root))
    known = {folder for _, folder, _ in places}
    # Deeper ones, or none at all, which is told; theirs hold songs only.
    deeper = {folder for folder in listed if folder not in known}
    within = {parent for folder in deeper for parent in folder.parents}
    for folder in within & known:
      deeper.update(multitracks.folders(folder))
    return [place for place in places if place[1] not in within] + [
      (folder.relative_to(root).as_posix(), folder, None)
      for folder in sorted(deeper)
    ]

  def _all_stems(
    self, song: pathlib.Path, rows: list[dict[str, str]]
  ) -> Iterator[Stem | Problem]:
    listed = {song / row["file"]: row for row in rows if row["file"]}
    for path, row in listed.items():
      files = _files(path, listed) or [path]
      yield from self._stem(song, path, files, row)
    if song.is_dir():
      yield from self._stems(song, song, listed)
    elif not listed:
      yield Problem("missing file", f"no such folder: {song}")

  def _stems(
    self, song: pathlib.Path, folder: pathlib.Path, listed: _Listed
  ) -> Iterator[Stem | Problem]:
    """The stems in a folder of the song, and in those within it.

    But for those that are listed.
    """
    for file in multitracks.audio_files(folder):
      if file not in listed:
        yield from self._stem(song, file, [file])
    for inner in multitracks.folders(folder):
      if inner in listed:
        continue
      files = _files(inner, listed)
      if files and categories.find_category(inner.name):
        yield from self._stem(song, inner, files)
      else:
        yield from self._stems(song, inner, listed)

  def _stem(
    self,
    song: pathlib.Path,
    path: pathlib.Path,
    files: list[pathlib.Path],
    row: Mapping[str, str] = _NO_ROW,
  ) -> Iterator[Stem | Problem]:
    """What a file or folder is, by its row and its name; and doubts."""
    within = path.is_relative_to(song)
    name = (path.relative_to(song) if within else path).as_posix()
    said = path.name if path.is_dir() else path.stem
    # A song called "Piano Man" has more stems than a piano. Whole words only:
    # in one called "A" a bass stays a bass.
    title = rf"(?<![^\W_]){re.escape(song.name)}(?![^\W_])"
    rest = re.sub(title, " ", said, flags=re.IGNORECASE)
    said = rest if re.search(r"[^\W_]", rest) else said
    category = row["category"] or categories.find_category(said)
    if category == _NONE or (category is None and _NO_STEM.search(said)):
      yield Problem(
        "mix or click", f"not taken for a stem: {path}", name, False
      )
      return
    if category is None:
      yield Problem(
        "unknown name",
        f"says no instrument that is known: taken as other; name it in {TABLE}",
        name,
        False,
      )
    vocal = categories.is_vocal(f"{said} {row['category']}")
    yield multitracks.stem(
      name,
      categories.parse_category(category or "other"),
      files,
      target=row["target"] == "yes"
      or (not row["target"] and (self.vocals or not vocal)),
      role=row["role"],
    )


def _walk(
  root: pathlib.Path,
) -> Iterator[tuple[str, pathlib.Path, str | None]]:
  """Songs' ids, folders, and splits where they lie in a folder of one."""
  for folder in multitracks.folders(root):
    split = _SPLIT_NAMES.get(folder.name.lower())
    if split and not multitracks.audio_files(folder):
      for inner in multitracks.folders(folder):
        yield inner.name, inner, split
    else:
      yield folder.name, folder, None


def _files(path: pathlib.Path, listed: _Listed) -> list[pathlib.Path]:
  """The files of a stem, without those in it that are stems of their own."""
  if not path.is_dir():
    return [path]
  return [
    file
    for file in multitracks.audio_files(path, nested=True)
    if not any(
      part in listed and path in part.parents for part in (file, *file.parents)
    )
  ]


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
      place = pathlib.PurePath(row["song"]), pathlib.PurePath(row["file"])
      if place in seen:
        raise ValueError(f"{row['song']}/{row['file']} is listed twice")
    except ValueError as error:
      raise ValueError(f"{path}, line {line}: {error}") from error
    seen.add(place)
    rows.append(row)
  return rows


def _check(row: dict[str, str]) -> None:
  """Raises ValueError for a value that cannot be; makes names ours."""
  if not row["song"]:
    raise ValueError("no song")
  if pathlib.PurePath(row["song"]).is_absolute():
    raise ValueError(f"song {row['song']}: expected a folder within --root")
  if not row["file"] and any(row[name] for name in _OF_STEMS):
    raise ValueError(
      "no file: expected one, or no more than the song's split and genre"
    )
  if row["category"] and row["category"].lower() != _NONE:
    categories.parse_category(row["category"])
  else:
    row["category"] = row["category"].lower()
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
