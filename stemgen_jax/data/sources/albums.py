"""Tell albums, folders of several songs, from songs.

    Album/First Song, Album/Second Song

A song may have folders as well: Song/Drums, Song/Overdubs.
"""

import collections
import itertools
import pathlib
import re
from collections.abc import Iterator, Sequence

from stemgen_jax.data.sources import multitracks, names, stems_table

# Names of folders that hold a part or a version of their song.
_PART = re.compile(
  r"(stems?|multi ?tracks?|tracks?|takes?|audio( files)?|files|samples|loops"
  r"|dry|wet|raw|edit(s|ed)?|mono|stereo|mics?|close|rooms?|over(dub|head)s?"
  r"|mix(es|down)?|masters?|bounces?|exports?|(wav|flac|mp3)s?"
  r"|(16|24|32) ?bit|(44|48|88|96) ?k(hz)?)s?[ \d]*",
  re.IGNORECASE,
)
# Words of names of sections and versions of one song, and what numbers them.
_VERSION = re.compile(
  r"(verse|pre|post|chorus|bridge|intro|outro|hook|refrain|break(down)?|build"
  r"|drop|coda|interlude|solo|theme|middle|section|part|stro(phe|fa)|couplet"
  r"|estribillo|ritornello|v|ver|version|alt(ernat(e|ive))?|take|orig(inal)?"
  r"|(re)?mix|rmx|edit|demo|rough|final|live|studio|acoustic|unplugged|radio"
  r"|club|extended|left|right|l|r|day|session|reel|tape|side|rehearsal|old"
  r"|new)(e?s)?"
)
_NUMBER = re.compile(r"[a-z]|one|two|three|four|ii|iii|iv")
_SHOWN = 3  # folders that a note names


def songs_in(folder: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
  """Return the folders of the songs in a folder, or itself if it is a song.

  An album has at least two folders with two instruments each, of which they
  share one. A song has folders or files that are named after an instrument
  alone ("Drums", but not "Piano Man"); or folders that are all named after a
  part of a song ("Takes"), or one such folder and loose files. Folders of fewer
  instruments are songs if there is nothing else in the album, and none of them
  is named after an instrument or a part of a song.

  Returns:
    The folders, each with a note on a choice that may be wrong, or "".
  """
  loose = multitracks.audio_files(folder)
  real = folder.resolve()
  inner = [
    path
    for path in multitracks.folders(folder)
    if multitracks.audio_files(path, nested=True)
    # Not a second way to another one of them.
    and not (path.is_symlink() and path.resolve().is_relative_to(real))
  ]
  if len(inner) == 1 and not loose:
    deeper = songs_in(inner[0])
    alone = [path for path, _ in deeper] == inner
    return [(folder, deeper[0][1])] if alone else deeper
  plain = [path for path in inner if not names.find_category(path.name)]
  alike = _are_bands(inner)
  if not alike and (loose or len(plain) < 2):
    return [(folder, "")]
  listed = inner if alike else plain
  shown = _shown(listed)
  parts = [path for path in inner if _is_part(path.name)]
  named = [path for path in inner if names.is_instrument(path.name)]
  named += [path for path in loose if names.find_category(path.stem)]
  # Folders of whole bands are songs, unless a name shows parts of one song;
  of_bands = alike and not named and parts != inner and not (parts and loose)
  # so are folders of fewer instruments, if there is nothing else.
  only_plain = plain == inner and not loose and not parts
  if of_bands or (only_plain and _are_songs(inner)):
    note = (
      f"{shown} in {folder} are songs; if they are parts of one song, name it "
      f"and their files in {stems_table.FILE}"
    )
    if loose:
      note += f"; left out: {_shown(loose)}"
    return [
      (song, inmost or note)
      for path in inner
      for song, inmost in songs_in(path)
    ]
  note = (
    f"{shown} are parts of this song; if they are songs, name one of them as "
    f"a song in {stems_table.FILE}"
  )
  return [(folder, note)]


def _shown(paths: Sequence[pathlib.Path]) -> str:
  shown = ", ".join(path.name for path in paths[:_SHOWN])
  more = len(paths) - _SHOWN
  return f"{shown} and {more} more" if more > 0 else shown


def split_id(song_id: str) -> str:
  """Return the id that determines the split of a song.

  Versions and sections of one song (Song/Verse, Song/v2) have that of the
  folder around them.
  """
  parts = song_id.split("/")
  while len(parts) > 1 and _is_version(parts[-1], parts[-2]):
    parts.pop()
  return "/".join(parts)


def _is_version(name: str, title: str) -> bool:
  rest = names.without_title(name, title).casefold()
  words = re.findall(r"[^\W\d_]+", rest)
  stated = [word for word in words if _VERSION.fullmatch(word)]
  numbers = [word for word in words if _NUMBER.fullmatch(word)]  # Reel A
  versions = bool(stated) and {*stated, *numbers}.issuperset(words)
  return versions or _is_part(name)


def _is_part(name: str) -> bool:
  return _PART.fullmatch(name.replace("_", " ")) is not None


def _are_bands(folders: Sequence[pathlib.Path]) -> bool:
  """Return whether two of the folders have instruments, one of them shared."""
  bands = [found for x in folders if len(found := _categories(x)) > 1]
  return any(one & other for one, other in itertools.combinations(bands, 2))


def _are_songs(folders: Sequence[pathlib.Path]) -> bool:
  """Return whether folders resemble songs of a band, not parts of a song."""
  counts: collections.Counter[str] = collections.Counter()
  for folder in folders:
    counts.update(_instruments(folder))
  return any(count > 1 for count in counts.values())


def _instruments(folder: pathlib.Path) -> set[str]:
  """Return the instruments that names in a folder state, or else the names."""
  return {category or name for name, category in _stated(folder)}


def _categories(folder: pathlib.Path) -> set[str]:
  """Return the instruments that names in a folder state."""
  return {category for _, category in _stated(folder) if category}


def _stated(folder: pathlib.Path) -> Iterator[tuple[str, str | None]]:
  """Yield the name in lower case of every file, and its instrument."""
  for file in multitracks.audio_files(folder, nested=True):
    inner = file.relative_to(folder).parts[:-1]
    own = names.without_title(file.stem, folder.name)
    stated = (names.find_category(text) for text in (own, *inner))
    yield own.lower(), next(filter(None, stated), None)
