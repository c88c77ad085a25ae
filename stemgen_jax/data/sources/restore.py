"""The songs that a prepared data set was made from, found again."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from stemgen_jax.data import songs
from stemgen_jax.data.sources.band import source as band


def restore(recipe: dict[str, Any]) -> songs.Songs:
  """The source of songs that a recipe names.

  Args:
    recipe: `Manifest.config` of a prepared set, with its `source` and
      `source_config`.

  Raises:
    ValueError: the recipe does not say which songs these were.
    OSError: they are no longer where they were.
  """
  fields = dict(recipe.get("source_config") or {})
  if "style" in fields:
    style = {name: _tuple(value) for name, value in fields["style"].items()}
    fields |= {"style": band.Style(**style)}
    return band.Band(**{name: _tuple(fields[name]) for name in fields})
  if "root" not in fields:
    raise ValueError(
      f"nothing says which songs {recipe.get('source')!r} was made from: give "
      "--data=FOLDER, a set of `stemgen-jax prepare`"
    )
  if not pathlib.Path(fields["root"]).is_dir():
    raise FileNotFoundError(
      f"no folder {fields['root']}, whose songs the data set was made from: "
      "put them there again, or prepare them where they are"
    )
  if "variant" in fields:
    from stemgen_jax.data.sources.slakh import Slakh

    return Slakh(**fields)
  match fields.get("name"):
    case "musdb18":
      from stemgen_jax.data.sources.musdb18 import Musdb18

      return Musdb18(**fields)
    case "moisesdb":
      from stemgen_jax.data.sources.moisesdb import Moisesdb

      return Moisesdb(**fields)
  from stemgen_jax.data.sources.folder import Folder

  return Folder(**fields)


def test_songs(source: songs.Songs) -> Sequence[songs.Song]:
  """The test split, in the source's order; the band's never ends.

  Raises:
    ValueError: the source has fewer than two.
  """
  if isinstance(source, band.Band):
    return _BandSongs(source)
  found = [song for song in source.songs() if song.split == "test"]
  if len(found) < 2:
    raise ValueError(
      f"{source.name} has {len(found)} test songs, expected at least 2"
    )
  return found


def held_out(
  source: songs.Songs, prepared: Mapping[str, Collection[str]]
) -> songs.Songs:
  """The songs that a prepared set has in its test split, from their source.

  Songs' splits and ids change when a folder or its table is edited; nothing
  that a model may have learned from is judged by. The band never changes.

  Args:
    source: of the songs, as it is now.
    prepared: split -> ids of the set's songs, see `records.song_ids`; {} where
      it is not known, for the split as it is now.

  Raises:
    ValueError: a test song of the source is of another split in the set, or
      one of the set's cannot be had any more.
  """
  if isinstance(source, band.Band):
    return source
  split_of = {x: split for split, ids in prepared.items() for x in ids}
  remedy = (
    "put the songs and their table back as they were when it was prepared, or "
    "prepare another set and train on that"
  )
  found: dict[str, songs.Song] = {}
  seen: set[str] = set()
  for song in source.songs():
    if song.id in seen:  # the first is taken, as in the set
      continue
    seen.add(song.id)
    split = split_of.get(song.id, "") if prepared else song.split
    if song.split == "test" and split in ("train", "valid"):
      raise ValueError(
        f"song {song.id} of {source.name} is a test song now, but in the "
        f"{split} split of the prepared set: {remedy}"
      )
    if split == "test" and song.stems:
      found[song.id] = dataclasses.replace(song, split="test")
  lost = [x for x in prepared.get("test", ()) if x not in found]
  if lost:
    more = f", nor are {len(lost) - 1} others" if lost[1:] else ""
    raise ValueError(
      f"test song {lost[0]} of the prepared set is no longer in "
      f"{source.name}{more}: {remedy}"
    )
  return _Listed(source.name, tuple(found.values()))


@dataclasses.dataclass(frozen=True)
class _Listed:
  """Songs that have been listed."""

  name: str
  found: tuple[songs.Song, ...]

  def songs(self) -> Iterator[songs.Song]:
    return iter(self.found)


@dataclasses.dataclass(frozen=True)
class _BandSongs(Sequence[songs.Song]):
  """Test songs of the band, each written when it is asked for."""

  band: band.Band

  def __len__(self) -> int:
    return band.MOST["test"]

  def __getitem__(self, index: Any) -> Any:
    return self.band.song(band.FIRST["test"] + index)


def _tuple(value: Any) -> Any:
  return tuple(value) if isinstance(value, list) else value
