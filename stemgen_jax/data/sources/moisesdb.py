"""MoisesDB: 240 songs whose stems consist of one or more tracks.

PROVIDER/SONG/data.json lists a song's stems and their tracks, which are in
PROVIDER/SONG/STEM/TRACK.wav. Pereira et al., "MoisesDB: A dataset for source
separation beyond 4-stems", ISMIR 2023, https://github.com/moises-ai/moises-db.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator
from typing import Any, TypeGuard

from stemgen_jax import categories, disk
from stemgen_jax.data.songs import Problem, Song, Stem
from stemgen_jax.data.sources import multitracks

_OF_STEM = {
  "bass": "bass",
  "bowed_strings": "strings",
  "drums": "drums",
  "guitar": "guitar",
  "other_plucked": "ethnic",
  "percussion": "percussive",
  "piano": "piano",
  "vocals": "ensemble",
}
# Types of tracks that override the category of the stems not named below.
_OF_TRACK = {
  "organ": "organ",
  "synth pad": "synth_pad",
  "synth lead": "synth_lead",
  "brass": "brass",
  "flutes": "pipe",
  "reeds": "reed",
  "fx": "sound_effects",
  "pitched percussion": "chromatic_percussion",
  "violin section": "ensemble",
  "viola section": "ensemble",
  "cello section": "ensemble",
  "string section": "ensemble",
}


@dataclasses.dataclass(frozen=True)
class Moisesdb:
  """MoisesDB in a folder: a `songs.Songs`.

  Tracks of one stem and one category are summed to one stem: a drum kit is one
  instrument, while pads and organs, both "other keys", are two. Click tracks
  are left out. The data set has no splits; they follow from the song ids.

  Attributes:
    root: folder moisesdb/, or moisesdb_v0.1/ inside it.
    vocals: whether vocals may be targets; they are always in contexts.
    name: name of the data set.

  Raises:
    ValueError: the folder holds something else.
    FileNotFoundError, NotADirectoryError: no such folder.
  """

  root: str
  vocals: bool = False
  name: str = "moisesdb"

  def __post_init__(self):
    multitracks.check_root(self.root, "MoisesDB")
    if not self._described():
      raise ValueError(
        f"--root={self.root} holds no MoisesDB: expected SONG/data.json or "
        "moisesdb_v0.1/SONG/data.json in it"
      )

  def songs(self) -> Iterator[Song]:
    """Yield all songs by folder."""
    for path in self._described():
      genre = "other"
      try:
        content = disk.read_json(path, "download it again")
        _check(path, content)
        genre = _genre(str(content.get("genre")))
        found = list(self._stems(path.parent, content["stems"]))
      except ValueError as error:
        found = [Problem("corrupt metadata", str(error))]
      song_id = path.parent.name
      split = multitracks.split_of(song_id)
      yield multitracks.song(song_id, split, genre, found)

  def _described(self) -> list[pathlib.Path]:
    root = pathlib.Path(self.root)
    found = sorted([*root.glob("*/data.json"), *root.glob("*/*/data.json")])
    # Through links a song may be found twice.
    songs: dict[pathlib.Path, pathlib.Path] = {}
    for path in found:
      if not any(map(multitracks.is_hidden, path.relative_to(root).parts)):
        songs.setdefault(path.resolve(), path)
    return list(songs.values())

  def _stems(
    self, folder: pathlib.Path, described: list[dict[str, Any]]
  ) -> Iterator[Stem | Problem]:
    files: dict[tuple[str, str], list[pathlib.Path]] = {}
    for stem in described:
      name = stem["stemName"]
      for track in stem["tracks"]:
        # "organ,_electric_organ" -> "organ electric organ"
        words = " ".join(re.findall(r"[a-z]+", track["trackType"].lower()))
        if not words.startswith("click"):
          file = f"{track['id']}.{track['extension']}"
          key = name, _category(name, words)
          files.setdefault(key, []).append(folder / name / file)
    for (name, category), paths in files.items():
      # A stem of two categories becomes two stems, which need two names.
      kinds = sum(stem_name == name for stem_name, _ in files)
      yield multitracks.stem(
        f"{name}/{category}" if kinds > 1 else name,
        category,
        paths,
        target=self.vocals or name != "vocals",
      )


def _check(path: pathlib.Path, content: dict[str, Any]) -> None:
  """Raise ValueError for the first mistake in the content of data.json."""
  stems = content.get("stems")
  if not _have_texts(stems, "stemName"):
    raise ValueError(f"{path}: expected a list of stems, each with a stemName")
  tracks = [stem.get("tracks") for stem in stems]
  if not all(_have_texts(x, "trackType", "id", "extension") for x in tracks):
    raise ValueError(
      f"{path}: expected tracks of every stem, with trackType, id and extension"
    )


def _have_texts(entries: Any, *names: str) -> TypeGuard[list[dict[str, Any]]]:
  """Return True if entries are a list of mappings with these texts."""
  return isinstance(entries, list) and all(
    isinstance(entry, dict) and isinstance(entry.get(name), str)
    for entry in entries
    for name in names
  )


def _category(stem: str, track: str) -> str:
  """Return the category of a track, given the words of its type."""
  if stem not in ("bass", "drums", "vocals"):
    for words, category in _OF_TRACK.items():
      if track.startswith(words):
        return category
  return _OF_STEM.get(stem, "other")


def _genre(name: str) -> str:
  """Return one of `categories.GENRES` for a genre of MoisesDB."""
  names = {"rap": "hip_hop", "world/folk": "folk"}
  try:
    return categories.parse_genre(names.get(name.lower(), name))
  except ValueError:
    return "other"
