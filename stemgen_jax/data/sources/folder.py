"""A folder of songs: one folder per song, with an audio file per stem.

    my_songs/First Song/bass.wav, Lead Guitar.flac, Drums/kick.wav, ...

The instrument follows from the file's name. A table, my_songs/stems.csv, gives
more information about files; files that it does not list are unaffected:

    song,file,category,target,split,genre,role
    First Song,take 7.wav,guitar,yes,train,rock
    First Song,bounce 3.wav,none
    Second Song,,,,test
"""

import dataclasses
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stemgen_jax import categories
from stemgen_jax.data.songs import Problem, Song
from stemgen_jax.data.sources import albums, multitracks, names, stems_table
from stemgen_jax.data.sources.multitracks import Found

_NO_ROW: Mapping[str, str] = dict.fromkeys(stems_table.COLUMNS, "")
_Listed = Mapping[pathlib.Path, Mapping[str, str]]
_Table = Mapping[pathlib.Path, list[dict[str, str]]]  # by the song's folder


class _Place(NamedTuple):
  """A song's id and folder, the split of a folder around it, and a note."""

  song_id: str
  folder: pathlib.Path
  split: str | None
  note: str = ""


@dataclasses.dataclass(frozen=True)
class Folder:
  """A folder of songs: a `songs.Songs`.

  A folder inside a song's that is named after an instrument ("Drums") is one
  stem, the sum of its files; the files of any other folder are stems of their
  own. Mixes and click tracks are left out; unrecognized names become "other",
  which is reported.

  A row of the table describes a file, or a folder that is one stem, and
  overrides its name; without a category the name still determines it. A row
  without a file describes the song. The category "none" marks a file that is
  not a stem.

  A folder of folders that resemble songs (`albums`) is an album, as is one
  inside which the table names a song: every folder in it is a song. A row of
  an album without a file describes its songs.

  The split is that of the table, or of the folder train/, valid/ or test/ that
  the song is in, at any depth; otherwise it follows from the song's name, with
  a tenth each for valid and test. Versions and sections of one song ("v2",
  "Verse") have the split of the folder around them.

  Attributes:
    root: the folder.
    vocals: whether vocals may be targets; they are always in contexts.

  Raises:
    ValueError: the folder holds no songs, or the table has a mistake.
    FileNotFoundError, NotADirectoryError: no such folder.
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
    """Name of the folder, reduced to letters, digits and underscores."""
    plain = re.sub(r"\W+", "_", pathlib.Path(self.root).resolve().name)
    return plain.strip("_").lower() or "folder"

  def songs(self) -> Iterator[Song]:
    """Yield all songs by name."""
    table = self._table()
    for song_id, folder, split, note in self._places(table):
      rows = table.get(folder, [])
      of_album = [row for path in folder.parents for row in table.get(path, [])]
      stated = {
        name: next((row[name] for row in (*rows, *of_album) if row[name]), "")
        for name in ("split", "genre")
      }
      own = multitracks.split_of(albums.split_id(song_id))
      split = stated["split"] or split or own
      found = [*self._all_stems(folder, rows)]
      if note:
        found.append(Problem("nested folders", note, left_out=False))
      yield multitracks.song(song_id, split, stated["genre"] or "other", found)

  def _table(self) -> dict[pathlib.Path, list[dict[str, str]]]:
    """Return the rows of stems.csv, if there is one, by the song's folder."""
    root = pathlib.Path(self.root)
    found: dict[pathlib.Path, list[dict[str, str]]] = {}
    if not (root / stems_table.FILE).is_file():
      return found
    parts = _split_folders(root)
    seen: dict[str, str] = {}  # path -> line
    for row in stems_table.read(root / stems_table.FILE):
      where = f"{root / stems_table.FILE}, line {row['line']}"
      folder = _existing(root, row["song"])
      if folder in parts:
        raise ValueError(
          f"{where}: song {row['song']} is the folder of a split: expected a "
          "song in it"
        )
      if not folder.is_dir():  # in train/, valid/ or test/
        within = [_existing(part, row["song"]) for part in parts]
        folder = next((path for path in within if path.is_dir()), folder)
      place = os.path.normpath(_existing(folder, row["file"]))
      if place in seen:
        raise ValueError(
          f"{where}: {row['song']}/{row['file']} is listed twice, first in "
          f"line {seen[place]}"
        )
      seen[place] = row["line"]
      rows = found.setdefault(folder, [])
      # Split and genre belong to the song: all of its rows must agree.
      for name in ("split", "genre"):
        others = {other[name] for other in (*rows, row)} - {""}
        if len(others) > 1:
          raise ValueError(
            f"{where}: the {name} of song {row['song']} is {row[name]}, but "
            f"{min(others - {row[name]})} in another line"
          )
      rows.append(row)
    return found

  def _places(self, listed: _Table) -> list[_Place]:
    """Return the songs' places."""
    root = pathlib.Path(self.root)
    places = [
      place for top in _walk(root) for place in _deeper(root, top, listed)
    ]
    known = {path for x in places for path in (x.folder, *x.folder.parents)}
    parts = _split_folders(root)
    # Songs of the table that do not exist, which is reported.
    for folder in sorted(set(listed) - known):
      split = next((parts[p] for p in folder.parents if p in parts), None)
      song_id = folder.relative_to(root).as_posix()
      places.append(_Place(song_id, folder, split))
    return places

  def _all_stems(
    self, song: pathlib.Path, rows: list[dict[str, str]]
  ) -> Iterator[Found]:
    listed = {_existing(song, row["file"]): row for row in rows if row["file"]}
    # Stems of the table first; a missing file is reported by `_stem`.
    for path, row in listed.items():
      files = _files(path, listed) or [path]
      yield from self._stem(song, path, files, row)
    if song.is_dir():
      yield from self._stems(song, song, listed, {song.resolve()})
    elif not listed:
      yield Problem("missing file", f"no such folder: {song}")

  def _stems(
    self,
    song: pathlib.Path,
    folder: pathlib.Path,
    listed: _Listed,
    seen: set[pathlib.Path],
  ) -> Iterator[Found]:
    """Yield the unlisted stems in a folder of the song, at any depth.

    Args:
      song: folder of the song.
      folder: the song's, or a folder in it.
      listed: rows of the table by path.
      seen: folders of the song that were read, to which this one adds.
    """
    for file in multitracks.audio_files(folder):
      if file not in listed:
        yield from self._stem(song, file, [file])
    for inner in multitracks.folders(folder):
      if inner in listed:
        continue
      real = inner.resolve()
      if real in seen or (
        inner.is_symlink() and real.is_relative_to(song.resolve())
      ):
        name = inner.relative_to(song).as_posix()
        message = f"{inner} leads to {real}, which is read already"
        yield Problem("linked folder", message, name, left_out=False)
        continue
      seen.add(real)
      files = _files(inner, listed)
      if files and names.find_category(inner.name):
        yield from self._stem(song, inner, files)
      else:
        yield from self._stems(song, inner, listed, seen)

  def _stem(
    self,
    song: pathlib.Path,
    path: pathlib.Path,
    files: list[pathlib.Path],
    row: Mapping[str, str] = _NO_ROW,
  ) -> Iterator[Found]:
    """Yield the stem of a file or folder, and problems with its name."""
    within = path.is_relative_to(song)
    name = (path.relative_to(song) if within else path).as_posix()
    text = path.name if path.is_dir() else path.stem
    text = names.without_title(text, song.name)
    category = row["category"] or names.find_category(text)
    if category == stems_table.NONE or (
      category is None and names.is_mix(text)
    ):
      yield Problem("mix or click", f"not used as a stem: {path}", name, False)
      return
    if category is None:
      yield Problem(
        "unknown name",
        "states no known instrument: used as other; name it in "
        f"{stems_table.FILE}",
        name,
        False,
      )
    yield multitracks.stem(
      name,
      categories.parse_category(category or "other"),
      files,
      target=row["target"] == "yes"
      or (not row["target"] and (self.vocals or not _is_vocal(text, row))),
      role=row["role"],
    )


def _is_vocal(text: str, row: Mapping[str, str]) -> bool:
  """Return True if a stem is sung; the table overrides its name."""
  given = row["category"]
  if given and names.is_vocal(given):
    return True
  # The category of vocals leaves it to the name, all others exclude it.
  excluded = given and (
    categories.parse_category(given) != categories.parse_category("vocals")
  )
  return not excluded and names.is_vocal(text)


def _existing(folder: pathlib.Path, name: str) -> pathlib.Path:
  """Return a path in a folder, in the Unicode form of an existing file.

  An accent is part of its letter or a character of its own, depending on the
  system that wrote the name.
  """
  for part in pathlib.PurePath(name).parts:
    there = folder / part
    if not there.exists() and folder.is_dir():
      composed = unicodedata.normalize("NFC", part)
      alike = (
        path
        for path in folder.iterdir()
        if unicodedata.normalize("NFC", path.name) == composed
      )
      there = next(alike, there)
    folder = there
  return folder


def _split_folders(root: pathlib.Path) -> dict[pathlib.Path, str]:
  """Return the folders named after a split, and the split of each."""
  return {
    folder: stems_table.SPLIT_NAMES[folder.name.lower()]
    for folder in multitracks.folders(root)
    if folder.name.lower() in stems_table.SPLIT_NAMES
    and not multitracks.audio_files(folder)
  }


def _walk(root: pathlib.Path) -> Iterator[_Place]:
  """Yield the folders of songs and albums."""
  parts = _split_folders(root)
  for folder in multitracks.folders(root):
    if folder in parts:
      for inner in multitracks.folders(folder):
        yield _Place(inner.name, inner, parts[folder])
    else:
      # test/ with audio files of its own is a single song of that split.
      named = stems_table.SPLIT_NAMES.get(folder.name.lower())
      yield _Place(folder.name, folder, named)


def _deeper(
  root: pathlib.Path, place: _Place, listed: _Table
) -> Iterator[_Place]:
  """Yield a song, or the songs of an album.

  Raises:
    ValueError: the table names a folder inside a song.
  """
  _, folder, split, _ = place
  named = [
    path for path in sorted(listed) if folder in path.parents and path.is_dir()
  ]
  if not named:
    if any(row["file"] for row in listed.get(folder, ())):
      yield place  # a song by the table
      return
    for path, note in albums.songs_in(folder):
      name = path.relative_to(root).as_posix()
      inner = place if path == folder else _Place(name, path, split)
      yield inner._replace(note=note)
    return
  inner = multitracks.folders(folder)
  parts = [path for path in inner if names.find_category(path.name)]
  why = ""
  if multitracks.audio_files(folder):
    why = "holds audio files"
  elif folder in listed:
    why = "has rows of its own"
  elif len(inner) > 1 and parts == inner:
    why = "holds folders that are all named after instruments"
  if why:
    song = named[0].relative_to(root).as_posix()
    outer = folder.relative_to(root).as_posix()
    raise ValueError(
      f"{root / stems_table.FILE}: song {song} is in {outer}, which {why} and "
      f"is a song: name {outer} as the song, and its contents as files"
    )
  for path in inner:
    name = path.relative_to(root).as_posix()
    yield from _deeper(root, _Place(name, path, split), listed)


def _files(path: pathlib.Path, listed: _Listed) -> list[pathlib.Path]:
  """Return the files of a stem, without those that are stems of their own."""
  if not path.is_dir():
    return [path]
  return [
    file
    for file in multitracks.audio_files(path, nested=True)
    if not any(
      part in listed and path in part.parents for part in (file, *file.parents)
    )
  ]
