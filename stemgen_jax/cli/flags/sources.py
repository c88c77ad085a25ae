"""Flags that choose the songs, and the source of songs they stand for."""

import pathlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax.categories import parse_category
from stemgen_jax.cli.flags import owners
from stemgen_jax.cli.flags.bound import bound

if TYPE_CHECKING:
  from stemgen_jax.codec.config import NetworkConfig
  from stemgen_jax.data.songs import Songs

# Source -> flags that are for this source.
SOURCES = {
  "band": (
    *("songs", "valid_songs", "test_songs", "seconds", "style", "genres"),
    *("categories", "programs", "soundfont", "sample_rate", "channels"),
  ),
  "slakh": ("root", "variant"),
  "musdb18": ("root", "vocals"),
  "moisesdb": ("root", "vocals"),
  "folder": ("root", "vocals"),
  "midi": ("root", "soundfont", "sample_rate", "channels"),
  "mma": (
    *("root", "songs", "valid_songs", "test_songs", "seconds"),
    *("soundfont", "sample_rate", "channels"),
  ),
}
# Source that renders -> sample rate in Hz, if the codec is mono.
DEFAULT_RATES = {"band": 32_000, "midi": 48_000, "mma": 48_000}
_STEREO = 2  # channels
STYLES = {
  "all": {},
  # The demo weights are trained on it: few keys and one sound per instrument,
  # so that half an hour on a laptop teaches the model to follow its context.
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
  """Define the flags of every command that uses the band."""
  add = bound(values)
  add.integer("songs", songs, songs_help)
  add.integer("seed", 0, seed_help)
  add.multi_string(
    "soundfont",
    [],
    "A .sf2 or .sf3 file, or several with commas, for the band, for MIDI "
    "files or for mma.",
  )


def define(values: flags.FlagValues) -> None:
  """Define the flags of a command that takes songs from any source."""
  add = bound(values)
  add.string("source", "band", f"Source of the songs: {', '.join(SOURCES)}.")
  add.string(
    "root",
    None,
    "Folder of the songs: Slakh2100, MUSDB18-HQ, MoisesDB, MIDI files, those "
    "that mma writes, or a folder per song with a file for each stem.",
  )
  add.string(
    "variant",
    "redux",
    "Variant of Slakh2100: redux (no song twice), split2 (no song in two "
    "splits) or orig.",
  )
  add.bool(
    "vocals", False, "Use vocals as targets, too; they are always in contexts."
  )
  define_band(
    values,
    songs=300,
    songs_help="Number of songs of the band, or of mma, to train on.",
    seed_help="Seed of the songs of the band, or of mma, and of the pairs.",
  )
  add.integer("valid_songs", 16, "Number of such songs to validate on.")
  add.integer("test_songs", 96, "Number of such songs to test on.")
  add.time("seconds", 30.0, "Length of such a song in seconds.")
  add.integer(
    "sample_rate",
    None,
    "Sample rate in Hz that the band or MIDI files are rendered at. Default: "
    "that of a stereo codec; otherwise 32000 for the band, 48000 for MIDI.",
  )
  add.integer(
    "channels",
    None,
    "1, or 2 to render the band or MIDI files in stereo, with a place on a "
    "stage for every part and one room. Default: those of the codec.",
  )
  add.string(
    "style",
    "all",
    "Style of the band: all, or demo, the narrower style that the demo weights "
    "were trained on.",
  )
  add.list("genres", None, "Genres of the band, instead of the style's.")
  add.list(
    "categories", None, "Instruments of the band, instead of the style's."
  )
  add.integer(
    "programs",
    None,
    "Sounds per instrument of the band, instead of the style's.",
  )


def soundfonts(values: flags.FlagValues) -> tuple[str, ...]:
  """Return the paths of --soundfont, of which each may be a list."""
  found: list[str] = []
  for text in values.soundfont:
    # The name of a file may have a comma.
    found += [text] if pathlib.Path(text).is_file() else text.split(",")
  return tuple(found)


def check(values: flags.FlagValues) -> None:
  """Raise ValueError for an unknown source, or for flags of another one."""
  if values.source not in SOURCES:
    raise ValueError(
      f"--source={values.source}: expected one of {', '.join(SOURCES)}"
    )
  owners.check(values, "source", SOURCES)


def make(
  values: flags.FlagValues,
  codec: "NetworkConfig",
  known: Mapping[str, Any] = MappingProxyType({}),
) -> "Songs":
  """Return the source that the flags ask for.

  Args:
    values: parsed flags.
    codec: shape of the codec, whose format stems are rendered in.
    known: fields of the source of an existing set, whose format is kept.

  Raises:
    ValueError, OSError: a flag is wrong, or --root holds something else.
  """
  check(values)
  # After the check: the sources import soundfile and yaml.
  from stemgen_jax.data.sources import band, mma, restore

  rendered: dict[str, Any] = _rendered(values, codec, known)
  kinds: dict[str, Any] = {"band": band.Band, **restore.SOURCES}
  # A slash at its end must not make another recipe.
  root = str(pathlib.Path(values.root)) if values.root else ""
  written = {
    "seed": values.seed,
    "train": values.songs,
    "valid": values.valid_songs,
    "test": values.test_songs,
    "seconds": values.seconds,
    "soundfonts": soundfonts(values),
  }
  if values.source == "mma":
    return mma.Mma(root, **written, **rendered)
  if rendered.pop("channels", 1) == _STEREO:
    kinds |= restore.STEREO
  kind = kinds[values.source]
  if values.source == "band":
    style = band.Style(**_style(values))
    return kind(**written, style=style, **rendered)
  choice = {"slakh": values.variant, "midi": soundfonts(values)}
  return kind(root, choice.get(values.source, values.vocals), **rendered)


def _rendered(
  values: flags.FlagValues, codec: "NetworkConfig", known: Mapping[str, Any]
) -> dict[str, int]:
  """Return sample rate and channels of stems that are rendered, else {}.

  Raises:
    ValueError: a flag contradicts the codec.
  """
  if values.source not in DEFAULT_RATES:
    return {}
  mono = {"sample_rate": DEFAULT_RATES[values.source], "channels": 1}
  stereo = {"sample_rate": codec.sample_rate, "channels": _STEREO}
  usual = stereo if codec.channels == _STEREO else mono
  given: dict[str, Any] = {name: values[name].value for name in usual}
  given = {name: x for name, x in given.items() if x is not None}
  for name, value in given.items():
    if value not in (usual[name], vars(codec)[name]):
      raise ValueError(
        f"--{name}={value}: codec {values.codec} has {codec.channels} x "
        f"{codec.sample_rate} Hz; expected {usual[name]}; leave the flag out"
      )
  if known:  # earlier sets of stereo codecs are mono
    usual = {name: known.get(name, value) for name, value in mono.items()}
  return usual | given


def _style(values: flags.FlagValues) -> dict[str, Any]:
  """Return the fields of `band.Style` that the flags set."""
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
  return style
