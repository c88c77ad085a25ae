"""Instrument categories, genres and stem roles, with the names people type.

The paper conditions on one of 18 categories without listing them. Ours are
the 16 families of General MIDI in their order (id = program // 8), then the
drum kit, then everything else.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence

# Each category and what musicians also call it, in English and, where that
# is another word, in French, German, Spanish, Italian and Portuguese. A name
# belongs to one category; "synth" alone means the lead, the more common wish.
_NAMES = {
  "piano": """
    grand piano, upright piano, keys, keyboard, electric piano, e-piano, ep,
    rhodes, wurlitzer, harpsichord, clavinet, clavi, klavier,
    pianoforte, clavier, flügel, teclado, tastiera, tastiere, clavecin,
    cembalo""",
  "chromatic_percussion": """
    chromatic perc, mallet, mallet percussion, tuned percussion, celesta,
    glockenspiel, glock, music box, vibraphone, vibes, marimba, xylophone,
    tubular bells, bells, dulcimer, kalimba bells,
    vibrafono, vibraphon, xylophon, xilofono, glocken, campanas, carillon,
    metallophon""",
  "organ": """
    hammond, b3, church organ, reed organ, rock organ, drawbar organ,
    accordion, harmonica, bandoneon,
    orgue, orgel, órgano, órgão, accordéon, akkordeon, acordeón, fisarmonica,
    mundharmonika, armonica""",
  "guitar": """
    gtr, acoustic guitar, electric guitar, nylon guitar, steel guitar,
    jazz guitar, clean guitar, distorted guitar, rhythm guitar, lead guitar,
    e-guitar, ukulele, mandolin,
    guitare, gitarre, guitarra, chitarra, akustikgitarre, violão, mandoline,
    mandolina""",
  "bass": """
    bass guitar, bassline, acoustic bass, electric bass, upright bass,
    double bass, fretless bass, slap bass, synth bass, sub bass, 808, e-bass,
    basse, bajo, basso, baixo, bassgitarre""",
  "strings": """
    string, solo strings, violin, viola, cello, contrabass, harp, timpani,
    pizzicato, tremolo strings, fiddle,
    cordes, streicher, cuerdas, archi, cordas, violon, geige, violino,
    violine, bratsche, violoncelle, violoncello, violonchelo, violoncelo,
    contrebasse, kontrabass, contrabajo, contrabbasso, contrabaixo, harpe,
    harfe, arpa, harpa""",
  "ensemble": """
    string ensemble, string section, synth strings, choir, voice, voices,
    vocals, vox, backing vocals, lead vocals, singer, rap, orchestra hit,
    aahs, oohs,
    chœur, chor, coro, orchestra, orchestre, orchester, orquesta, orquestra,
    voix, chant, stimme, gesang, voz, voces, vozes, voce, voci, canto""",
  "brass": """
    brass section, trumpet, trombone, tuba, french horn, horn, horns,
    synth brass, muted trumpet,
    cuivres, bläser, blechbläser, metales, ottoni, metais, trompette,
    trompete, trompeta, tromba, posaune, trombón, waldhorn, trompa, corno""",
  "reed": """
    woodwind, wind, sax, saxophone, soprano sax, alto sax, tenor sax,
    baritone sax, oboe, english horn, bassoon, clarinet,
    saxophon, saxofón, saxofone, sassofono, hautbois, fagott, fagot, fagotto,
    basson, clarinette, klarinette, clarinete, clarinetto, cor anglais""",
  "pipe": """
    flute, piccolo, recorder, pan flute, bottle, shakuhachi, whistle,
    ocarina,
    flöte, flauta, flauto, blockflöte, querflöte, flûte à bec""",
  "synth_lead": """
    synth, synthesizer, synthesiser, lead, lead synth, melody,
    synthé, synthétiseur, sintetizador, sintetizzatore, mélodie, melodía""",
  "synth_pad": """
    pad, pads, pad synth, warm pad, atmosphere pad,
    nappe, fläche, flächen""",
  "synth_effects": "synth fx, synth effect, fx, effects, texture, atmosphere",
  "ethnic": """
    world, sitar, banjo, shamisen, koto, kalimba, bagpipe, shanai, folk""",
  "percussive": """
    percussion, perc, hand percussion, taiko, woodblock, agogo, steel drum,
    steel pan, melodic tom, synth drum, tinkle bell, shaker, tambourine,
    conga, bongo, cowbell, clap,
    percussione, percussioni, percusión, percussão, perkussion, schellenring,
    pandereta, pandeiro, tamburello""",
  "sound_effects": """
    sound effect, sfx, noise, foley, sounds,
    bruitage, geräusch, geräusche, ruido, rumore""",
  "drums": """
    drum, drum kit, drum set, drumkit, drumset, kit, beat, beats,
    drum machine, kick, bass drum, snare, hi-hat, hihat, tom, cymbal, ride,
    crash, overhead,
    batterie, schlagzeug, batería, batteria, grosse caisse, caisse claire,
    große trommel, trommel, trommeln, bombo, caja, cassa, rullante, caixa,
    charleston, becken, platillos, piatti""",
  "other": """
    misc, miscellaneous, unknown, any, rest,
    autre, sonstige, sonstiges, andere, otro, altro, altri""",
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


def _bare(text: str) -> str:
  """The text without accents, however they are written: "Flote"."""
  split = unicodedata.normalize("NFKD", text)
  bare = "".join(c for c in split if not unicodedata.combining(c))
  return bare.replace("œ", "oe").replace("Œ", "OE")


def _plain(name: str) -> str:
  return re.sub(r"[\W_]+", "", _bare(name).casefold())


_CATEGORY_OF = {_plain(category): category for category in CATEGORIES} | {
  _plain(alias): category
  for category, aliases in _NAMES.items()
  for alias in aliases.split(",")
}
# As they are written, of those letters.
_WRITTEN = {
  _plain(name): name.strip()
  for category, aliases in _NAMES.items()
  for name in (*aliases.split(","), category)
}


def parse_category(name: str) -> str:
  """The category that `name` means.

  Case, accents, spaces, hyphens, underscores and a plural s do not matter:
  "Drum Kit", "e-piano", "Synths" and "batería" are all understood.

  Raises:
    ValueError: nothing is called so; suggests the nearest names.
  """
  plain = _plain(name)
  for candidate in (plain, plain.removesuffix("s"), plain + "s"):
    if candidate in _CATEGORY_OF:
      return _CATEGORY_OF[candidate]
  # A name that is not near is no help.
  near = difflib.get_close_matches(plain, _WRITTEN, n=1, cutoff=0.75)
  hint = ""
  if near:
    alias, category = _WRITTEN[near[0]], _CATEGORY_OF[near[0]]
    hint = alias if alias == category else f"{alias} ({category})"
  raise ValueError(
    f"unknown instrument category {name!r}"
    + (f", did you mean {hint}?" if hint else ".")
    + f" Known: {', '.join(CATEGORIES)}"
  )


_VOCAL = re.compile(
  r"vocals?|vox|voices?|singers?|choirs?|rap|bgvs?|backing|acapella"
  r"|voix|chant|choeurs?|stimmen?|gesang|chor|voz|voces|vozes|voc[ei]|canto"
  r"|coros?"
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
  text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", _bare(text))
  return [word for word in re.split(r"[\W_\d]+", text.casefold()) if word]


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
