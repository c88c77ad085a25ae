"""Instrument categories, genres and stem roles, with the names people type.

The paper conditions on one of 18 categories without listing them. These are
the 16 families of General MIDI in their order (id = program // 8), then the
drum kit, then everything else.
"""

import difflib
import re
import unicodedata
from collections.abc import Collection, Sequence

# Names of singing, which is not generated; its recordings are of ensembles.
_VOCALS = """
  voice, voices, vocal, vocals, vox, backing vocals, lead vocals, lead vox,
  singer, singers, rap, singing, acapella, lyrics,
  voix, chant, stimme, gesang, voz, voces, vozes, voce, voci, canto"""

# Categories and the names that musicians use, in English and, where the word
# differs, in French, German, Spanish, Italian and Portuguese. A name belongs to
# one category; "synth" alone means the lead, which people want more often.
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
  "ensemble": f"""
    string ensemble, string section, synth strings, choir, orchestra hit,
    aahs, oohs,
    chœur, chor, coro, orchestra, orchestre, orchester, orquesta, orquestra,
    {_VOCALS}""",
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

# Category names; a category's id is its index.
CATEGORIES: tuple[str, ...] = tuple(_NAMES)
UNPITCHED = ("drums", "percussive", "sound_effects")
"""Categories without a pitch that harmony could be measured by."""

# Genre names; a genre's id is its index. The band has all but "other".
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

# Functions of a stem in a song; a role's id is its index.
#
# The paper's demo page names Melodic, Harmonic and Percussive; the bass, which
# is a bit of each, has its own. Roles complement categories: a piano may be
# harmonic in one song and melodic in another.
ROLES: tuple[str, ...] = ("percussive", "bass", "harmonic", "melodic")

# Categories with the same role in nearly every song.
_USUAL_ROLES = {
  "drums": "percussive",
  "percussive": "percussive",
  "bass": "bass",
  "synth_pad": "harmonic",
  "synth_lead": "melodic",
}


def without_accents(text: str) -> str:
  """Return a text without accents in either Unicode form: "Flote"."""
  split = unicodedata.normalize("NFKD", text)
  bare = "".join(c for c in split if not unicodedata.combining(c))
  return bare.replace("œ", "oe").replace("Œ", "OE")


def _plain(name: str) -> str:
  return re.sub(r"[\W_]+", "", without_accents(name).casefold())


# Plain name -> category, and the spelling above.
_KNOWN = {
  _plain(name): (category, name.strip())
  for category, aliases in _NAMES.items()
  for name in (*aliases.split(","), category)
}


def parse_category(name: str) -> str:
  """Return the category that `name` means.

  Case, accents, spaces, hyphens, underscores and a plural s do not matter:
  "Drum Kit", "e-piano", "Synths" and "batería" are all recognized.

  Raises:
    ValueError: unknown name; suggests the nearest one.
  """
  if category := lookup(name):
    return category
  plain = _plain(name)
  # Below 0.75 the nearest name is usually unrelated.
  near = difflib.get_close_matches(plain, _KNOWN, n=1, cutoff=0.75)
  hint = ""
  if near:
    category, alias = _KNOWN[near[0]]
    hint = alias if alias == category else f"{alias} ({category})"
  raise ValueError(
    f"unknown instrument category {name!r}"
    + (f", did you mean {hint}?" if hint else ".")
    + f" Known: {', '.join(CATEGORIES)}"
  )


def parse_stem(name: str) -> str:
  """Return the category of a stem to generate, see `parse_category`.

  Raises:
    ValueError: unknown name, or that of a singer, or several.
  """
  several = [part.strip() for part in re.split(r"[,+&/]| and ", name)]
  if len(several) > 1 and all(map(lookup, several)):
    raise ValueError(
      f"{name!r}: expected one instrument; generate {several[0]}, then "
      f"{several[1]} for the mix with it"
    )
  category = parse_category(name)
  singing = {_plain(one) for one in _VOCALS.split(",")}
  if singing.intersection(_spellings(name)):
    raise ValueError(
      f"{name!r}: singing is not generated, as there are neither words nor "
      "voices to choose; expected an instrument, such as synth_lead for a "
      "melody, or ensemble for a choir or a string section"
    )
  return category


def lookup(name: str, ignore: Collection[str] = ()) -> str | None:
  """Return the category of a name, or None if it is unknown.

  Args:
    name: name of an instrument, see `parse_category`.
    ignore: names that count as unknown, in lower case and without spaces.
  """
  for candidate in _spellings(name):
    if candidate in _KNOWN and candidate not in ignore:
      return _KNOWN[candidate][0]
  return None


def _spellings(name: str) -> tuple[str, str, str]:
  plain = _plain(name)
  return plain, plain.removesuffix("s"), plain + "s"


def parse_genre(name: str) -> str:
  """Return the genre that `name` means.

  Case, spaces and hyphens do not matter.

  Raises:
    ValueError: unknown name.
  """
  return _named("genre", GENRES, name)


def parse_role(name: str) -> str:
  """Return the role that `name` means; case does not matter.

  Raises:
    ValueError: unknown name.
  """
  return _named("role", ROLES, name)


def _named(kind: str, known: tuple[str, ...], name: str) -> str:
  plain, named = _plain(name), {_plain(one): one for one in known}
  if plain in named:
    return named[plain]
  near = difflib.get_close_matches(plain, named, n=1)
  hint = f", did you mean {named[near[0]]}?" if near else "."
  raise ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(known)}")


def untrained(category: str, trained: Sequence[str]) -> str:
  """Return a warning if weights were not trained on a category, else "".

  Args:
    category: one of `CATEGORIES`.
    trained: categories that the weights were trained on.
  """
  if category in trained:
    return ""
  return (
    f"these weights were not trained on {category!r}: expect poor results; "
    f"they were trained on {', '.join(trained)}"
  )


def role_id(role: str, category: str) -> int:
  """Return the id of a stem's role, `len(ROLES)` if it is unknown.

  Args:
    role: one of `ROLES`, or "" for the usual role of the category, if it has
      one.
    category: one of `CATEGORIES`.
  """
  role = role or _USUAL_ROLES.get(category, "")
  return ROLES.index(role) if role else len(ROLES)


def kind_field(conditions: Collection[str]) -> str:
  """Return what a stem of weights is named by: "stem", "role" or "genre".

  That is the instrument, "stem", unless the weights lack this condition and
  have another one.

  Args:
    conditions: names of the conditions of the weights.
  """
  if "category" in conditions:
    return "stem"
  return next((x for x in ("role", "genre") if x in conditions), "stem")


def kinds(conditions: Collection[str]) -> tuple[str, ...]:
  """Return the instruments, roles or genres that name stems of weights."""
  known = {"stem": CATEGORIES, "role": ROLES, "genre": GENRES}
  return known[kind_field(conditions)]


def parse_kind(name: str, conditions: Collection[str]) -> str:
  """Return the instrument, role or genre that `name` means.

  Args:
    name: name of a stem.
    conditions: names of the conditions of the weights, see `kind_field`.

  Raises:
    ValueError: unknown name.
  """
  parsers = {"stem": parse_stem, "role": parse_role, "genre": parse_genre}
  return parsers[kind_field(conditions)](name)


def kind(stem: str, role: str, genre: str) -> str:
  """Return the name of a stem: instrument, or else role, genre or "stem"."""
  return stem or role or genre or "stem"


def category_id(name: str) -> int:
  """Return the id of the category that `name` means."""
  return CATEGORIES.index(parse_category(name))


def category_of_program(program: int, is_drum: bool) -> str:
  """Return the category of a General MIDI program, or of a drum track.

  Args:
    program: 0 to 127.
    is_drum: whether it is on the drum channel.

  Raises:
    ValueError: the program is out of range.
  """
  if is_drum:
    return "drums"
  if not 0 <= program <= 127:
    raise ValueError(f"program is {program}, expected 0 to 127 (General MIDI)")
  return CATEGORIES[program // 8]
