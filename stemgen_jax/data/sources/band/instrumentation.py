"""Draw the instruments of a song, and look up their registers."""

from collections.abc import Callable

from numpy.random import Generator

from stemgen_jax import categories
from stemgen_jax.data.sources.band.genre import PARTS, Genre, Groove
from stemgen_jax.data.sources.band.style import Style

# Category -> General MIDI programs of the band, the most typical first.
PROGRAMS = {
  # grand piano, electric piano, FM piano, bright piano, clavinet, electric
  # grand, honky-tonk, harpsichord
  "piano": (0, 4, 5, 1, 7, 2, 3, 6),
  # vibraphone, marimba, celesta, xylophone, music box, glockenspiel, tubular
  # bells
  "chromatic_percussion": (11, 12, 8, 13, 10, 9, 14),
  # drawbar organ, rock organ, percussive organ, church organ, accordion,
  # harmonica, reed organ
  "organ": (16, 18, 17, 19, 21, 22, 20),
  # steel guitar, clean guitar, nylon guitar, jazz guitar, overdriven guitar,
  # distorted guitar, muted guitar
  "guitar": (25, 27, 24, 26, 29, 30, 28),
  # fingered bass, synth bass 1, acoustic bass, synth bass 2, picked bass,
  # fretless bass, slap bass 1, slap bass 2
  "bass": (33, 38, 32, 39, 34, 35, 36, 37),
  # violin, cello, harp, pizzicato, tremolo strings, viola
  "strings": (40, 42, 46, 45, 44, 41),
  # strings, synth strings 1, choir aahs, slow strings, synth strings 2, synth
  # voice, voice oohs
  "ensemble": (48, 50, 52, 49, 51, 54, 53),
  # brass section, trumpet, trombone, synth brass 1, French horn, synth brass 2,
  # muted trumpet
  "brass": (61, 56, 57, 62, 60, 63, 59),
  # alto sax, tenor sax, clarinet, oboe, soprano sax, baritone sax, English horn
  "reed": (65, 66, 71, 68, 64, 67, 69),
  # flute, pan flute, shakuhachi, recorder, piccolo, ocarina
  "pipe": (73, 75, 77, 74, 72, 79),
  # saw lead, square lead, calliope, bass lead, charang, voice lead, chiff
  "synth_lead": (81, 80, 82, 87, 84, 85, 83),
  # warm pad, new age pad, polysynth, sweep pad, choir pad, halo pad, bowed pad
  "synth_pad": (89, 88, 90, 95, 91, 94, 92),
  # atmosphere, crystal, rain, sci-fi, brightness, echoes
  "synth_effects": (99, 98, 96, 103, 100, 102),
  # kalimba, koto, banjo, sitar, shamisen, fiddle
  "ethnic": (108, 107, 105, 104, 106, 110),
  # woodblock, taiko, melodic tom, agogo, synth drum, steel drums
  "percussive": (115, 116, 117, 113, 118, 114),
  # standard kit, 808 kit, jazz kit, electronic kit, room kit, brush kit, power
  # kit
  "drums": (0, 25, 32, 24, 8, 40, 16),
}

# Part -> program -> best register, where it is not the part's usual one.
_CENTER = {
  "lead": {
    9: 84, 10: 79, 26: 67, 27: 67, 29: 67, 30: 64, 41: 65, 42: 55, 57: 57,
    59: 69, 60: 62, 66: 63, 67: 55, 68: 74, 71: 69, 72: 84, 75: 74, 104: 62,
    110: 74, 87: 64,
  },
  "comp": {24: 57, 25: 57, 26: 57, 27: 57, 61: 62},
  "percussion": {113: 76, 115: 72, 116: 52, 117: 55, 118: 58},
}  # fmt: skip
_USUAL = {"bass": 28, "comp": 60, "pad": 60, "lead": 72, "arp": 69}
_FEWEST = 3


def center(role: str, program: int) -> int:
  """Return the middle of a register (its lowest note for bass), MIDI pitch."""
  usual = _USUAL.get(role, 64)
  return _CENTER.get(role, {}).get(program, usual)


def draw(
  stream: Callable[[str], Generator],
  genre: Genre,
  groove: Groove,
  style: Style,
) -> dict[str, int]:
  """Draw the parts of a song, at least three if possible, and their programs.

  Two parts share a category only as a last resort. Parts are drawn
  in the order of `PARTS`, so that a part added at its end leaves the others
  unchanged.

  Args:
    stream: name of a part -> its random generator.
    genre: genre of the song.
    groove: groove of the song.
    style: limits categories and programs.

  Returns:
    Part -> General MIDI program.

  Raises:
    ValueError: the style's categories exclude all instruments of the genre.
  """
  members: dict[str, int] = {}
  spare: dict[str, int] = {}
  for role in PARTS:
    rng = stream(role)
    programs = _allowed(genre.instrumentation.get(role, ()), role, style)
    if not programs or not getattr(groove, role):
      continue
    taken = {_category(other, members[other]) for other in members}
    fresh = [p for p in programs if _category(role, p) not in taken]
    program = int(rng.choice(fresh or programs))
    chosen = rng.random() < genre.presence.get(role, 0.0)
    (members if chosen and fresh else spare)[role] = program
  for role in [role for role in PARTS if role in spare]:
    if len(members) < _FEWEST:
      members[role] = spare[role]
  if not members:
    raise ValueError(
      f"genre {genre.name!r} has no instrument in the style's categories"
      f" {style.categories}"
    )
  return {role: members[role] for role in PARTS if role in members}


def _category(role: str, program: int) -> str:
  return categories.category_of_program(program, role == "drums")


def _allowed(programs: tuple[int, ...], role: str, style: Style) -> list[int]:
  """Return the genre's programs in the style's categories and counts.

  A program beyond the count is replaced by one of its category within it.
  """
  allowed = []
  for program in programs:
    category = _category(role, program)
    if category in style.categories:
      typical = PROGRAMS[category][: style.programs]
      if program not in typical and style.programs is not None:
        program = typical[program % len(typical)]
      if program not in allowed:
        allowed.append(program)
  return allowed
