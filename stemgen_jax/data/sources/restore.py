"""Restore the songs that a prepared data set was made from."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from stemgen_jax import recipes
from stemgen_jax.data import songs
from stemgen_jax.data.sources import band
from stemgen_jax.data.sources.band.source import FIRST, MOST
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.data.sources.midi import Midi, StereoMidi
from stemgen_jax.data.sources.mma import Mma
from stemgen_jax.data.sources.moisesdb import Moisesdb
from stemgen_jax.data.sources.musdb18 import Musdb18
from stemgen_jax.data.sources.slakh import Slakh

# Sources that read files, by the name of --source.
SOURCES = {
  "slakh": Slakh,
  "musdb18": Musdb18,
  "moisesdb": Moisesdb,
  "midi": Midi,
  "mma": Mma,
  "folder": Folder,
}

# Those that render in stereo, of which the recipes state the channels.
STEREO = {"band": band.StereoBand, "midi": StereoMidi, "mma": Mma}

LEAST_SONGS = 2
"""Songs that an evaluation needs: one gives the other's random stems."""


class MissingSongsError(ValueError):
  """Test songs of a prepared set are not in its source any more."""


def key_of(source: songs.Songs) -> str:
  """Return the name of --source that makes a source, or ""."""
  pairs = [("band", band.Band), *SOURCES.items(), *STEREO.items()]
  kinds: dict[type, str] = {kind: key for key, kind in pairs}
  return kinds.get(type(source), "")


def restore(recipe: dict[str, Any]) -> songs.Songs:
  """Return the source of songs that a recipe names.

  Args:
    recipe: `Manifest.config` of a prepared set, with its `source`,
      `source_config` and, unless an earlier version made it, `source_key`.

  Raises:
    ValueError: the recipe does not name its songs.
    OSError: the folder of the songs is missing.
  """
  fields = recipe.get("source_config") or {}
  is_stereo = "channels" in fields
  if "style" in fields:
    return recipes.build(STEREO["band"] if is_stereo else band.Band, fields)
  if "root" not in fields:
    raise ValueError(
      f"the recipe does not name the songs of {recipe.get('source')!r}: give "
      "--data=FOLDER, a set of `stemgen-jax prepare`"
    )
  if not pathlib.Path(fields["root"]).is_dir():
    raise FileNotFoundError(
      f"no folder {fields['root']}, whose songs the data set was made from: "
      "put them there again, or prepare them at their new place"
    )
  # Older recipes hold the fields of the source alone.
  kind = "slakh" if "variant" in fields else fields.get("name", "folder")
  key = recipe.get("source_key", kind)
  kinds = STEREO if is_stereo else SOURCES
  return recipes.build(kinds.get(key, Folder), fields)


def songs_of(
  source: songs.Songs, name: str, split: str
) -> Sequence[songs.Song]:
  """Return the songs of a split, in the source's order; the band's is endless.

  Args:
    source: source of the songs.
    name: what errors call it.
    split: "test" or "valid".

  Raises:
    ValueError: the split has fewer than two songs.
  """
  if isinstance(source, band.Band):
    return _BandSongs(source, split)
  found = [song for song in source.songs() if song.split == split]
  if len(found) < LEAST_SONGS:
    few = f"only 1 {split} song" if found else f"no {split} songs"
    raise ValueError(
      f"{name} has {few}, expected at least {LEAST_SONGS}: "
      f"add songs to its {split} split and prepare again, or give another "
      "--data"
    )
  return found


def held_out(
  source: songs.Songs,
  prepared: Mapping[str, Collection[str]],
  held: str = "test",
) -> songs.Songs:
  """Return the songs of a prepared set's held-out split, from their source.

  Splits and ids change when a folder or its table is edited; a song that a
  model may have been trained on is never evaluated on. The band never changes.

  Args:
    source: source of the songs in its present state.
    prepared: split -> ids of the set's songs, see `records.song_ids`; {} if
      unknown, for the present split.
    held: the split, "test" or "valid".

  Raises:
    ValueError: a song of the split is in another split of the set.
    MissingSongsError: a song of the split is missing.
  """
  if isinstance(source, band.Band):
    return source
  split_of = {x: split for split, ids in prepared.items() for x in ids}
  remedy = (
    "put the songs and their table back as they were when it was prepared, or "
    "prepare another set and train on that"
  )
  # Songs by id, as they are now; `prepared` decides on their split.
  found: dict[str, songs.Song] = {}
  seen: set[str] = set()
  for song in source.songs():
    if song.id in seen:  # the set has the first of two with one id
      continue
    seen.add(song.id)
    split = split_of.get(song.id, "") if prepared else song.split
    if song.split == held and split not in ("", held):
      raise ValueError(
        f"song {song.id} of {source.name} is a {held} song now, but in the "
        f"{split} split of the prepared set: {remedy}"
      )
    if split == held and song.stems:
      found[song.id] = dataclasses.replace(song, split=held)
  lost = [x for x in prepared.get(held, ()) if x not in found]
  if lost:
    more = f", as are {len(lost) - 1} others" if lost[1:] else ""
    raise MissingSongsError(
      f"{held} song {lost[0]} of the prepared set is missing from "
      f"{source.name}{more}: {remedy}"
    )
  return Listed(source.name, tuple(found.values()))


@dataclasses.dataclass(frozen=True)
class Listed:
  """Songs that have been listed: a `songs.Songs`."""

  name: str
  found: tuple[songs.Song, ...]

  def songs(self) -> Iterator[songs.Song]:
    """Yield all songs."""
    return iter(self.found)


@dataclasses.dataclass(frozen=True)
class _BandSongs(Sequence[songs.Song]):
  """Songs of a split of the band, each written when it is asked for."""

  band: band.Band
  split: str

  def __len__(self) -> int:
    return MOST[self.split]

  def __getitem__(self, index: Any) -> Any:
    return self.band.song(FIRST[self.split] + index)
