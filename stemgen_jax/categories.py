"""Instrument categories, genres and stem roles, with the names people type.

The paper conditions on one of 18 categories without listing them. Ours are
the 16 families of General MIDI in their order (id = program // 8), then the
drum kit, then everything else.
"""

import difflib
import re
from collections.abc import Sequence

# Each category and what musicians also call it. A name belongs to one
# category; "synth" alone means the lead, the more common wish.
_NAMES = {
  "piano": """
    grand piano, upright piano, keys, keyboard, electric piano, e-piano, ep,
    rhodes, wurlitzer, harpsichord, clavinet, clavi, klavier""",
  "chromatic_percussion": """
    chromatic perc, mallet, mallet percussion, tuned percussion, celesta,
    glockenspiel, glock, music box, vibraphone, vibes, marimba, xylophone,
    tubular bells, bells, dulcimer, kalimba bells""",
  "organ": """
    hammond, b3, church organ, reed organ, rock organ, drawbar organ,
    accordion, harmonica, bandoneon""",
  "guitar": """
    gtr, acoustic guitar, electric guitar, nylon guitar, steel guitar,
    jazz guitar, clean guitar, distorted guitar, rhythm guitar, lead guitar,
    e-guitar, ukulele, mandolin""",
  "bass": """
    bass guitar, bassline, acoustic bass, electric bass, upright bass,
    double bass, fretless bass, slap bass, synth bass, sub bass, 808, e-bass""",
  "strings": """
    string, solo strings, violin, viola, cello, contrabass, harp, timpani,
    pizzicato, tremolo strings, fiddle""",
  "ensemble": """
    string ensemble, string section, synth strings, choir, voice, voices,
    vocals, vox, backing vocals, lead vocals, singer, rap, orchestra hit,
    aahs, oohs""",
  "brass": """
    brass section, trumpet, trombone, tuba, french horn, horn, horns,
    synth brass, muted trumpet""",
  "reed": """
    woodwind, wind, sax, saxophone, soprano sax, alto sax, tenor sax,
    baritone sax, oboe, english horn, bassoon, clarinet""",
  "pipe": """
    flute, piccolo, recorder, pan flute, bottle, shakuhachi, whistle,
    ocarina""",
  "synth_lead": "synth, synthesizer, synthesiser, lead, lead synth, melody",
  "synth_pad": "pad, pads, pad synth, warm pad, atmosphere pad",
  "synth_effects": "synth fx, synth effect, fx, effects, texture, atmosphere",
  "ethnic": """
    world, sitar, banjo, shamisen, koto, kalimba, bagpipe, shanai, folk""",
  "percussive": """
    percussion, perc, hand percussion, taiko, woodblock, agogo, steel drum,
    steel pan, melodic tom, synth drum, tinkle bell, shaker, tambourine,
    conga, bongo, cowbell, clap""",
  "sound_effects": "sound effect, sfx, noise, foley, sounds",
  "drums": """
    drum, drum kit, drum set, drumkit, drumset, kit, beat, beats,
    drum machine, kick, bass drum, snare, hi-hat, hihat, tom, cymbal, ride,
    crash, overhead""",
  "other": "misc, miscellaneous, unknown, any, rest",
}

CATEGORIES: tuple[str, ...] = tuple(_NAMES)
"""Category names; a category's id is its index."""

GENRES: tuple[str, ...] = (
  "lofi",
  "techno",
  "electronic",
  "hip_hop",
  "pop",
  "rock",
  "funk",
  "jazz",
  "bossa_nova",
  "reggae",
  "folk",
  "ambient",
  "other",
)
"""Genre names; a genre's id is its index. The band plays all but "other"."""

ROLES: tuple[str, ...] = ("percussive", "bass", "harmonic", "melodic")
"""What a stem does in a song; a role's id is its index.

The paper's demo page names Melodic, Harmonic and Percussive; the bass, which
is a bit of each, has its own. A piano may be harmonic in one song and melodic
in another: that is what a role says beyond a category.
"""

# Instruments that do the same in nearly every song.
_USUAL_ROLES = {
  "drums": "percussive",
  "percussive": "percussive",
  "bass": "bass",
  "synth_pad": "harmonic",
  "synth_lead": "melodic",
}


def _plain(name: str) -> str:
  return re.sub(r"[\W_]+", "", name.lower())


_CATEGORY_OF = {_plain(category): category for category in CATEGORIES} | {
  _plain(alias): category
  for category, aliases in _NAMES.items()
  for alias in aliases.split(",")
}


def parse_category(name: str) -> str:
  """The category that `name` means.

  Case, spaces, hyphens, underscores and a plural s do not matter: "Drum Kit",
  "e-piano", "Synths" and "Woodwind" are all understood.

  Raises:
    ValueError: nothing is called so; suggests the nearest names.
  """
  plain = _plain(name)
  for candidate in (plain, plain.removesuffix("s"), plain + "s"):
    if candidate in _CATEGORY_OF:
      return _CATEGORY_OF[candidate]
  near = difflib.get_close_matches(plain, _CATEGORY_OF, n=3, cutoff=0.6)
  hint = " or ".join(dict.fromkeys(_CATEGORY_OF[close] for close in near))
  raise ValueError(
    f"unknown instrument category {name!r}"
    + (f", did you mean {hint}?" if hint else ".")
    + f" Known: {', '.join(CATEGORIES)}"
  )


_VOCAL = re.compile(
  r"vocals?|vox|voices?|singers?|choirs?|rap|bgvs?|backing|acapella"
)


def find_category(text: str) -> str | None:
  """The category that a file's name speaks of, or None.

  The longest name of an instrument that stands in it as whole words; of
  several of one length the last, which says what the others are like: "01
  Bass DI" is bass, "Lead Guitar" guitar, "bass drum" drums.
  """
  words = _words(text)
  if is_vocal(text):
    return parse_category("vocals")
  for count in range(min(3, len(words)), 0, -1):
    for first in reversed(range(len(words) - count + 1)):
      plain = "".join(words[first : first + count])
      for candidate in (plain, plain.removesuffix("s"), plain + "s"):
        if candidate in _CATEGORY_OF and candidate not in _VAGUE:
          return _CATEGORY_OF[candidate]
  return None


def is_vocal(text: str) -> bool:
  """Whether a file's name speaks of singing: "Lead Vox 2", "choir"."""
  return any(_VOCAL.fullmatch(word) for word in _words(text))


# Names that say nothing about a file.
_VAGUE = frozenset(("any", "unknown", "folk", "world", "sounds"))


def _words(text: str) -> list[str]:
  """Words in small letters; "BassDI" and "bass2" are two words each."""
  text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", text)
  return [word for word in re.split(r"[\W_\d]+", text.lower()) if word]


def parse_genre(name: str) -> str:
  """The genre that `name` means; case, spaces and hyphens do not matter.

  Raises:
    ValueError: there is none of that name.
  """
  return _named("genre", GENRES, name)


def parse_role(name: str) -> str:
  """The role that `name` means; case does not matter.

  Raises:
    ValueError: there is none of that name.
  """
  return _named("role", ROLES, name)


def _named(kind: str, known: tuple[str, ...], name: str) -> str:
  for one in known:
    if _plain(one) == _plain(name):
      return one
  raise ValueError(f"unknown {kind} {name!r}. Known: {', '.join(known)}")


def untrained(category: str, trained: Sequence[str]) -> str:
  """What to expect of an instrument that weights were not trained on.

  Args:
    category: one of `CATEGORIES`.
    trained: those that the weights were trained on.

  Returns:
    A sentence for who asked for it; "" if it is among them.
  """
  if category in trained:
    return ""
  return (
    f"these weights were not trained on {category!r}: expect little of it; "
    f"they know {', '.join(trained)}"
  )


def role_id(role: str, category: str) -> int:
  """Index in `ROLES` of a stem's role, `len(ROLES)` where it is not known.

  Args:
    role: one of `ROLES`, or "" where nothing says it; then it is that of the
      category, if such instruments have but one.
    category: one of `CATEGORIES`.
  """
  role = role or _USUAL_ROLES.get(category, "")
  return ROLES.index(role) if role else len(ROLES)


def category_id(name: str) -> int:
  """Index in `CATEGORIES` of the category that `name` means."""
  return CATEGORIES.index(parse_category(name))


def category_of_program(program: int, is_drum: bool) -> str:
  """Category of a General MIDI program (0-127), or of a drum track.

  Raises:
    ValueError: the program is not 0-127.
  """
  if is_drum:
    return "drums"
  if not 0 <= program <= 127:
    raise ValueError(f"program is {program}, expected 0 to 127 (General MIDI)")
  return CATEGORIES[program // 8]
