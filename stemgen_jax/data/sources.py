"""The songs that a prepared data set was made from, found again."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from stemgen_jax.data import songs
from stemgen_jax.data.band import source as band


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
    from stemgen_jax.data.slakh import Slakh

    return Slakh(**fields)
  match fields.get("name"):
    case "musdb18":
      from stemgen_jax.data.musdb18 import Musdb18

      return Musdb18(**fields)
    case "moisesdb":
      from stemgen_jax.data.moisesdb import Moisesdb

      return Moisesdb(**fields)
  from stemgen_jax.data.folder import Folder

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
