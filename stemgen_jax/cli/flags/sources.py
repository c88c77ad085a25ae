"""The flags that say which songs: a source of songs made from them."""

import pathlib
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax.categories import parse_category
from stemgen_jax.cli.flags import owners as owners_lib

if TYPE_CHECKING:
  from stemgen_jax.data.songs import Songs
  from stemgen_jax.data.sources.band import Band

# Source -> flags that are its own.
SOURCES = {
  "band": (
    "songs",
    "valid_songs",
    "test_songs",
    "seconds",
    "style",
    "genres",
    "categories",
    "programs",
    "soundfont",
  ),
  "slakh": ("root", "variant"),
  "musdb18": ("root", "vocals"),
  "moisesdb": ("root", "vocals"),
  "folder": ("root", "vocals"),
}
STYLES = {
  "all": {},
  # What the demo weights learn: music whose parts hang together tightly, few
  # keys and one sound of each instrument, so that half an hour of a laptop is
  # enough to learn to listen.
  "demo": {
    "genres": ("techno", "electronic"),
    "keys": ("C", "D", "F", "A"),
    "meters": ("4/4",),
    "tempo": (112.0, 132.0),
    "categories": ("piano", "bass", "synth_lead", "synth_pad", "drums"),
    "programs": 1,
  },
}


def define_band(
  values: flags.FlagValues, *, songs: int, songs_help: str, seed_help: str
) -> None:
  """Defines the flags of every app that lets the band play."""
  flags.DEFINE_integer("songs", songs, songs_help, flag_values=values)
  flags.DEFINE_integer("seed", 0, seed_help, flag_values=values)
  flags.DEFINE_multi_string(
    "soundfont",
    [],
    "A .sf2 or .sf3 file for the band to play; may be given several times.",
    flag_values=values,
  )


def define(values: flags.FlagValues) -> None:
  """Defines the flags of an app that takes songs from any source."""
  flags.DEFINE_string(
    "source",
    "band",
    f"Where songs come from: {', '.join(SOURCES)}.",
    flag_values=values,
  )
  flags.DEFINE_string(
    "root",
    None,
    "Folder of the songs: of Slakh2100, MUSDB18-HQ, MoisesDB, or one that has "
    "a folder for each song, with a file for each stem.",
    flag_values=values,
  )
  flags.DEFINE_string(
    "variant",
    "redux",
    "Which Slakh2100: redux (no song twice), split2 (no song in two splits) "
    "or orig.",
    flag_values=values,
  )
  flags.DEFINE_bool(
    "vocals",
    False,
    "Vocals may be what is to be played, too; they are heard anyway.",
    flag_values=values,
  )
  define_band(
    values,
    songs=300,
    songs_help="How many songs of the band to train on.",
    seed_help="Of the band's songs and of the pairs.",
  )
  flags.DEFINE_integer(
    "valid_songs", 16, "The band's, to watch training with.", flag_values=values
  )
  flags.DEFINE_integer(
    "test_songs",
    96,
    "The band's, kept for the final judgement.",
    flag_values=values,
  )
  flags.DEFINE_float(
    "seconds", 30.0, "Length of a song of the band.", flag_values=values
  )
  flags.DEFINE_string(
    "style",
    "all",
    "What the band plays: all it can, or demo, the narrower slice that the "
    "demo weights learn.",
    flag_values=values,
  )
  flags.DEFINE_list(
    "genres", None, "Genres of the band, instead of the style's.", values
  )
  flags.DEFINE_list(
    "categories",
    None,
    "Instruments of the band, instead of the style's.",
    values,
  )
  flags.DEFINE_integer(
    "programs",
    None,
    "Sounds per instrument of the band, instead of the style's.",
    flag_values=values,
  )


def check(values: flags.FlagValues) -> None:
  """Raises ValueError for an unknown source, or flags that are another's."""
  if values.source not in SOURCES:
    raise ValueError(
      f"--source={values.source}: expected one of {', '.join(SOURCES)}"
    )
  owners: dict[str, list[str]] = {}
  for source, own in SOURCES.items():
    for name in own:
      owners.setdefault(name, []).append(source)
  owners_lib.check(values, "source", owners)


def make(values: flags.FlagValues) -> "Songs":
  """The source that the flags ask for.

  Raises:
    ValueError, OSError: a flag is wrong, or --root holds something else.
  """
  check(values)
  # As the data set is bound to it, whether or not it ends in a slash.
  root = str(pathlib.Path(values.root)) if values.root else ""
  match values.source:
    case "slakh":
      from stemgen_jax.data.sources.slakh import Slakh

      return Slakh(root, values.variant)
    case "musdb18":
      from stemgen_jax.data.sources.musdb18 import Musdb18

      return Musdb18(root, values.vocals)
    case "moisesdb":
      from stemgen_jax.data.sources.moisesdb import Moisesdb

      return Moisesdb(root, values.vocals)
    case "folder":
      from stemgen_jax.data.sources.folder import Folder

      return Folder(root, values.vocals)
  return _band(values)


def _band(values: flags.FlagValues) -> "Band":
  from stemgen_jax.data.sources import band

  if values.style not in STYLES:
    raise ValueError(
      f"--style={values.style}: expected one of {', '.join(STYLES)}"
    )
  style: dict[str, Any] = dict(STYLES[values.style])
  for name in ("genres", "categories"):
    given = values[name].value
    if given:
      style[name] = tuple(given)
  if "categories" in style:
    style["categories"] = tuple(map(parse_category, style["categories"]))
  if values.programs is not None:
    style["programs"] = values.programs
  return band.Band(
    seed=values.seed,
    train=values.songs,
    valid=values.valid_songs,
    test=values.test_songs,
    seconds=values.seconds,
    soundfonts=tuple(values.soundfont),
    style=band.Style(**style),
  )
