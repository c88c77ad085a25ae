"""A genre as tables: its tempi, harmony, instruments and grooves.

Grooves are text, one character per sixteenth note (`rhythm.parse_grid`), any
number of whole bars long:

  drums, fills   one line per drum: "kick x... x... x... x...".
                 X accent, x normal, o soft, g ghost, ? soft and only sometimes.
                 A fill is shorter: it replaces the end of a section's last bar.
  bass           R root, 5 fifth, 3 third, 7 seventh, 8 octave, g ghost root,
                 w walk a step, a approach the next root. "kick": the rhythm
                 of the kick drum.
  comp, pad,     X accented chord, x chord, s soft chord, b its lowest note,
  arp            u the rest of it, 1-9 its notes counted from below.
  lead           x chord tone, o passing tone of the scale.
  percussion     H M L high, middle, low; h m l the same, soft.
"""

import dataclasses
from collections.abc import Mapping

# Names of the parts that a song may have.
PARTS = ("drums", "bass", "comp", "pad", "lead", "arp", "percussion")


@dataclasses.dataclass(frozen=True)
class Groove:
  """Grids of a genre in one meter, from which each part draws."""

  drums: tuple[str, ...]
  fills: tuple[str, ...]
  bass: tuple[str, ...]
  comp: tuple[str, ...]
  pad: tuple[str, ...]
  lead: tuple[str, ...]
  arp: tuple[str, ...] = ()
  percussion: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genre:
  """A genre of the band.

  Attributes:
    name: one of `categories.GENRES`.
    tempo: slowest and fastest, in beats per minute.
    harmony: families of `harmony.PROGRESSIONS` to draw from.
    sevenths: whether plain triads get their seventh.
    swing: least and greatest `rhythm.Clock.swing`.
    pair: steps in a swung pair: 4 swings eighths, 2 sixteenths.
    loose: standard deviation of the players' timing, in seconds.
    grooves: name of a meter -> groove.
    instrumentation: part -> General MIDI programs (from 0) to draw from; drum
      kits by their program on the drum channel.
    presence: part -> probability that a song has it.
  """

  name: str
  tempo: tuple[float, float]
  harmony: tuple[str, ...]
  sevenths: bool = False
  swing: tuple[float, float] = (0.5, 0.5)
  pair: int = 4
  loose: float = 0.006
  grooves: Mapping[str, Groove]
  instrumentation: Mapping[str, tuple[int, ...]]
  presence: Mapping[str, float]
