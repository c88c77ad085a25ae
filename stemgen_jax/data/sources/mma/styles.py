"""The styles of the installed `mma`: files of grooves in its library."""

import dataclasses
import pathlib
import re
import shutil
import subprocess

from stemgen_jax.data.sources import band
from stemgen_jax.data.sources.band.genre import Genre
from stemgen_jax.data.sources.band.genres import BOOK

_INSTALL = "apt-get install mma"
_GROOVE = re.compile(r"^\s*DefGroove\s+(\S+)", re.IGNORECASE | re.MULTILINE)
_BEATS = re.compile(r"^\s*Time\s+(\d+)", re.IGNORECASE | re.MULTILINE)
# Bars of eighths count these, or dotted quarters, as quarters.
_EIGHTHS = re.compile(r"^\s*TimeSig\s+\d+[\s/]+8", re.IGNORECASE | re.MULTILINE)
_METERS = {"3": "3/4", "4": "4/4"}
# Kinds of grooves by their names; "rock1FA" and "rock1E" are those of `pflib`.
_INTRO = re.compile(r"intro", re.IGNORECASE)
_FILL = re.compile(r"(?i:fill)|[a-z\d]F[AB]$")
_UNUSED = re.compile(r"(?i:end|break|metronome)|[a-z\d]E$")
# Genres by names of files; the first one counts. Others are "other".
_GENRES = (
  (r"bossa", "bossa_nova"),
  (r"folk|country|cntry|western|bluegrass|zydeco", "folk"),
  (r"jazz|swing|bebop|bigband|dixie|charleston|ragtime|evans", "jazz"),
  (r"techno|trance|rave", "techno"),
  (r"house|dance|dnb|electr", "electronic"),
  (r"hip|trip", "hip_hop"),
  (r"reggae|ska$", "reggae"),
  (r"ambient", "ambient"),
  (r"funk|soul|disco|motown|r[n+]?b(-|$)", "funk"),
  (r"rock|metal|mtl|punk|hrk|twi", "rock"),
  (r"pop|beat|ballad|bald", "pop"),
)
_SLOW = re.compile(r"slow|ballad|bald|lullaby|hymn|serenade|spiritual")
_FAST = re.compile(r"fast|march|polka|quickstep|ragtime|bluegrass|charleston")


@dataclasses.dataclass(frozen=True)
class Style:
  """A file of grooves.

  Attributes:
    name: path in the library without suffix, "stdlib/bossanova".
    meter: one of `rhythm.METERS`.
    grooves: grooves of whole sections.
    intros: grooves of a song's first bars.
    fills: grooves of a section's last bar.
  """

  name: str
  meter: str
  grooves: tuple[str, ...]
  intros: tuple[str, ...]
  fills: tuple[str, ...]

  @property
  def band_genre(self) -> Genre:
    """The band's genre whose progressions fit."""
    return BOOK.get(genre_of(self.name), BOOK["pop"])

  @property
  def tempo(self) -> tuple[float, float]:
    """Slowest and fastest tempo in beats per minute."""
    if _SLOW.search(self.name):
      return 70.0, 96.0
    if _FAST.search(self.name):
      return 120.0, 160.0
    if genre_of(self.name) not in BOOK:
      return 80.0, 150.0
    return band.Style().tempo_of(self.band_genre)


def genre_of(name: str) -> str:
  """Return the genre of a style's name, "other" if none matches."""
  file = name.rpartition("/")[2].lower()
  return next((x for text, x in _GENRES if re.search(text, file)), "other")


def program() -> str:
  """Return the path of `mma`.

  Raises:
    FileNotFoundError: it is not installed.
  """
  if not (found := shutil.which("mma")):
    raise FileNotFoundError(f"mma: no such program; run: {_INSTALL}")
  return found


def installed() -> list[Style]:
  """Return the styles of the installed `mma` in 3/4 and 4/4, by name.

  Raises:
    FileNotFoundError: `mma` or its library is not installed.
  """
  done = subprocess.run(
    [program(), "-xPRINT", "_LIBPATH"],
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
    errors="replace",
  )
  # "$_LIBPATH = /usr/share/mma/lib", after warnings
  libraries = re.findall(r"^\$_LIBPATH = (.+)$", done.stdout, re.MULTILINE)
  found = {}
  for library in map(pathlib.Path, libraries):
    for path in library.rglob("*.mma"):
      name = path.relative_to(library).with_suffix("").as_posix()
      if style := _read(name, path.read_text(errors="replace")):
        found[name] = style
  if not found:
    raise FileNotFoundError(
      f"mma: no grooves in its library {libraries}; run: {_INSTALL}"
    )
  return [found[name] for name in sorted(found)]


def _read(name: str, text: str) -> Style | None:
  """Return the style of a file, or None if it has no groove for sections."""
  beats = _BEATS.search(text)
  meter = _METERS.get(beats[1] if beats else "4")
  grooves = dict.fromkeys(_GROOVE.findall(text))  # some are defined twice
  intros = [x for x in grooves if _INTRO.search(x)]
  fills = [x for x in grooves if _FILL.search(x)]
  mains = [
    x
    for x in grooves
    if x not in intros and x not in fills and not _UNUSED.search(x)
  ]
  if meter is None or _EIGHTHS.search(text) or not mains:
    return None
  return Style(name, meter, tuple(mains), tuple(intros), tuple(fills))
