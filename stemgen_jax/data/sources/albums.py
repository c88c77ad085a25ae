"""Tell albums, folders of several songs, from songs.

    Album/First Song, Album/Second Song

A song may have folders as well: Song/Drums, Song/Overdubs.
"""

import collections
import pathlib
import re
from collections.abc import Sequence

from stemgen_jax.data.sources import multitracks, names, stems_table

# Names of folders that hold a part or a version of their song.
_PART = re.compile(
  r"(stems?|multi ?tracks?|tracks?|takes?|audio( files)?|files|samples|loops"
  r"|dry|wet|raw|edit(s|ed)?|mono|stereo|mics?|close|rooms?|over(dub|head)s?"
  r"|mix(es|down)?|masters?|bounces?|exports?|(wav|flac|mp3)s?"
  r"|(16|24|32) ?bit|(44|48|88|96) ?k(hz)?)s?[ \d]*",
  re.IGNORECASE,
)
_SHOWN = 3  # folders that a note names


def songs_in(folder: pathlib.Path) -> tuple[list[pathlib.Path], str]:
  """Return the folders of the songs in a folder, or itself if it is a song.

  An album has folders alone, at least two of which have a stem of the same
  name or instrument, and none of which is named after an instrument or a part
  of a song.

  Returns:
    The folders, and a note on a choice that may be wrong, or "".
  """
  if multitracks.audio_files(folder):
    return [folder], ""
  real = folder.resolve()
  inner = [
    path
    for path in multitracks.folders(folder)
    if multitracks.audio_files(path, nested=True)
    # Not a second way to another one of them.
    and not (path.is_symlink() and path.resolve().is_relative_to(real))
  ]
  if len(inner) == 1:
    deeper, note = songs_in(inner[0])
    return ([folder] if deeper == inner else deeper), note
  plain = [path for path in inner if not names.find_category(path.name)]
  if len(plain) < 2:
    return [folder], ""
  shown = ", ".join(path.name for path in plain[:_SHOWN])
  if len(plain) > _SHOWN:
    shown += f" and {len(plain) - _SHOWN} more"
  if plain == inner and _are_songs(inner):
    note = (
      f"{shown} in {folder} are songs; if they are parts of one song, name it "
      f"and their files in {stems_table.FILE}"
    )
    return [song for path in inner for song in songs_in(path)[0]], note
  note = (
    f"{shown} are parts of this song; if they are songs, name one of them as "
    f"a song in {stems_table.FILE}"
  )
  return [folder], note


def _are_songs(folders: Sequence[pathlib.Path]) -> bool:
  """Return whether folders resemble songs of a band, not parts of a song."""
  if any(_PART.fullmatch(path.name.replace("_", " ")) for path in folders):
    return False
  counts: collections.Counter[str] = collections.Counter()
  for folder in folders:
    counts.update(_instruments(folder))
  return any(count > 1 for count in counts.values())


def _instruments(folder: pathlib.Path) -> set[str]:
  """Return the instruments that names in a folder state, or else the names."""
  found = set()
  for file in multitracks.audio_files(folder, nested=True):
    inner = file.relative_to(folder).parts[:-1]
    own = names.without_title(file.stem, folder.name)
    stated = (names.find_category(text) for text in (own, *inner))
    found.add(next(filter(None, stated), own.lower()))
  return found
