"""Writes a song's score from (seed, number, style): the ground truth.

Every decision of the song as a whole and every part draw from random streams
of their own, named below, so that one part does not change another.
"""

import dataclasses
import zlib

import numpy as np

from stemgen_jax import categories
from stemgen_jax.data.band import cast, genres, harmony, players, rhythm
from stemgen_jax.data.band.genre import Genre
from stemgen_jax.data.band.players import Stroke
from stemgen_jax.data.band.sheet import Section, Sheet, Span
from stemgen_jax.data.band.style import Style


@dataclasses.dataclass(frozen=True)
class Note:
  """A note: start and end in seconds, MIDI pitch and velocity (1-127)."""

  start: float
  end: float
  pitch: int
  velocity: int


@dataclasses.dataclass(frozen=True)
class Part:
  """One instrument's notes in order of their start.

  Attributes:
    name: its role in the band, unique in the song ("bass", "comp").
    category: one of `categories.CATEGORIES`.
    program: General MIDI program from 0; for drums the kit's.
    is_drum: whether it plays on the drum channel.
    notes: what it plays, within 0..seconds of the song.
    ceiling: greatest sample value it may reach; the ceilings of a song's
      parts add up to less than 1, so that their sum cannot clip.
    timbre: picks one of several soundfonts (modulo their count).
  """

  name: str
  category: str
  program: int
  is_drum: bool
  notes: tuple[Note, ...]
  ceiling: float
  timbre: int


@dataclasses.dataclass(frozen=True)
class Chord:
  """A chord from start to end (seconds); pitch classes, root first."""

  start: float
  end: float
  label: str
  pitch_classes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Score:
  """All that is true of a song. Times in seconds, 0 is a downbeat.

  `tempo` counts beats per minute (dotted quarters in 6/8); `swing` is the
  share of a swung pair that its first note takes (0.5: straight);
  `progression` is the line of `harmony.PROGRESSIONS` section A is built on.
  """

  genre: str
  tempo: float
  meter: str
  swing: float
  key: str
  mode: str
  progression: str
  seconds: float
  beats: tuple[float, ...]
  downbeats: tuple[float, ...]
  chords: tuple[Chord, ...]
  parts: tuple[Part, ...]


# Headroom each role gets, against the others; peaky ones get more.
_SHARE = {
  "drums": 1.8,
  "bass": 1.2,
  "comp": 1.0,
  "pad": 0.8,
  "lead": 1.1,
  "arp": 0.8,
  "percussion": 0.8,
}
_HEADROOM = 0.98


def write(seed: int, number: int, seconds: float, style: Style) -> Score:
  """The score of song `number`. Same arguments, same score.

  Raises:
    ValueError: the style leaves nothing to play.
  """

  def stream(name: str) -> np.random.Generator:
    return np.random.default_rng([seed, number, zlib.crc32(name.encode())])

  rng = stream("song")
  genre, meter_name, progressions = _draw_world(rng, style)
  groove = genre.grooves[meter_name]
  slowest, fastest = style.tempo_of(genre)
  # Half steps of tempo, as people set them.
  tempo = float(
    np.clip(np.round(2 * rng.uniform(slowest, fastest)) / 2, slowest, fastest)
  )
  key = str(rng.choice(style.keys))
  swing = _draw_swing(rng, genre, meter_name, style)
  clock = rhythm.Clock(rhythm.METERS[meter_name], tempo, swing, genre.pair)
  mode = harmony.mode_of(progressions["A"])
  tonic = harmony.KEYS.index(key)

  changes = {
    letter: harmony.parse_progression(line, tonic, genre.sevenths)
    for letter, line in progressions.items()
  }
  sections = _draw_form(
    stream("form"),
    clock,
    seconds,
    groove.drums,
    {letter: len(bars) for letter, bars in changes.items()},
  )
  sheet = Sheet(
    clock=clock,
    groove=groove,
    scale=tuple((tonic + tone) % 12 for tone in harmony.MODES[mode]),
    sections=sections,
    spans=_lay_chords(changes, sections, clock.meter.bar),
  )

  members = cast.draw(lambda role: stream("cast " + role), genre, groove, style)
  always = stream("anchors").permutation(
    [role for role in ("drums", "bass", "comp") if role in members]
  )[:2]
  total = sum(_SHARE[role] for role in members)
  parts = []
  for role, program in members.items():
    part_rng = stream(role)
    strokes = _play(role, program, sheet, part_rng)
    steps = seconds / clock.step_seconds
    rests = _draw_rests(part_rng, sheet, steps, role in always)
    notes = _perform(strokes, sheet, rests, part_rng, genre.loose, seconds)
    if notes:
      parts.append(
        Part(
          name=role,
          category=categories.category_of_program(program, role == "drums"),
          program=program,
          is_drum=role == "drums",
          notes=notes,
          ceiling=_HEADROOM * _SHARE[role] / total,
          timbre=int(part_rng.integers(1 << 16)),
        )
      )

  def grid(step: int) -> tuple[float, ...]:
    last = sheet.spans[-1].end
    times = (clock.seconds(at) for at in range(0, last, step))
    return tuple(time for time in times if time < seconds)

  return Score(
    genre=genre.name,
    tempo=tempo,
    meter=meter_name,
    swing=swing,
    key=key,
    mode=mode,
    progression=progressions["A"],
    seconds=seconds,
    beats=grid(clock.meter.beat),
    downbeats=grid(clock.meter.bar),
    chords=tuple(
      Chord(
        clock.seconds(span.start),
        min(clock.seconds(span.end), seconds),
        span.chord.label,
        span.chord.pitch_classes,
      )
      for span in sheet.spans
      if clock.seconds(span.start) < seconds
    ),
    parts=tuple(parts),
  )


def _draw_world(
  rng: np.random.Generator, style: Style
) -> tuple[Genre, str, dict[str, str]]:
  """Genre, meter, and a progression for A and another of its mode for B."""
  playable = style.playable()
  genre = genres.BOOK[playable[rng.integers(len(playable))]]
  meters = [name for name in genre.grooves if name in style.meters]
  # Four-four is the common case; the others still turn up often enough.
  weights = np.array([3.0 if name == "4/4" else 1.0 for name in meters])
  meter = str(rng.choice(meters, p=weights / weights.sum()))
  lines = style.progressions_of(genre)
  first = str(rng.choice(lines))
  kin = [
    line
    for line in lines
    if line != first and harmony.mode_of(line) == harmony.mode_of(first)
  ]
  second = str(rng.choice(kin)) if kin and rng.random() < 0.8 else first
  return genre, meter, {"A": first, "B": second}


def _draw_swing(
  rng: np.random.Generator, genre: Genre, meter: str, style: Style
) -> float:
  amount = rng.uniform(*genre.swing)
  if meter == "6/8" or not style.swing:  # 6/8 has its triplets written out
    return 0.5
  return float(round(amount, 3))


def _draw_form(
  rng: np.random.Generator,
  clock: rhythm.Clock,
  seconds: float,
  beats: tuple[str, ...],
  bars: dict[str, int],
) -> tuple[Section, ...]:
  """Sections of 4 or 8 bars that cover the song, each letter its own beat.

  `bars` is the length of each letter's progression: long ones get 8 bars.
  """
  bar_seconds = clock.step_seconds * clock.meter.bar
  form = ["AB", "AAB", "ABAB", "AABA", "ABB"][rng.integers(5)]
  length = {
    letter: 8
    if bar_seconds < 1.9 and rng.random() < (0.8 if bars[letter] > 4 else 0.3)
    else 4
    for letter in "AB"
  }
  order = rng.permutation(len(beats))
  beat = {"A": beats[order[0]], "B": beats[order[-1]]}
  sections, start = [], 0
  while clock.seconds(start) < seconds:
    letter = form[len(sections) % len(form)]
    energy = float(rng.uniform(0.45, 1.0))
    section = Section(letter, start, length[letter], energy, beat[letter])
    sections.append(section)
    start += section.bars * clock.meter.bar
  return tuple(sections)


def _lay_chords(
  progressions: dict[str, list[list[harmony.Harmony]]],
  sections: tuple[Section, ...],
  bar: int,
) -> tuple[Span, ...]:
  """Chords of all sections; the progression starts anew with each."""
  spans: list[Span] = []
  for section in sections:
    bars = progressions[section.letter]
    for number in range(section.bars):
      chords = bars[number % len(bars)]
      edges = [
        section.start + number * bar + bar * i // len(chords)
        for i in range(len(chords) + 1)
      ]
      for chord, start, end in zip(chords, edges, edges[1:]):
        if spans and spans[-1].chord == chord and number:
          spans[-1] = dataclasses.replace(spans[-1], end=end)
        else:
          spans.append(Span(start, end, chord))
  return tuple(spans)


def _draw_rests(
  rng: np.random.Generator, sheet: Sheet, steps: float, always: bool
) -> list[tuple[int, int]]:
  """Where a part is silent, in steps: late entry, dropouts, breaks.

  A part rests in at most about half of the song.
  """
  rests = []
  sections = sheet.sections
  if not always:
    entries = [s.start for s in sections if s.start < 0.4 * steps]
    if rng.random() < 0.4:
      rests.append((0, entries[rng.integers(len(entries))]))
    budget = steps / 2 - sum(end - start for start, end in rests)
    for section in sections:
      length = sheet.end_of(section) - section.start
      if rng.random() < 0.15 and length < budget:
        rests.append((section.start, sheet.end_of(section)))
        budget -= length
  bar = sheet.clock.meter.bar
  for section in sections:
    if rng.random() < 0.1:
      end = sheet.end_of(section)
      rests.append((end - bar // int(rng.integers(1, 3)), end))
  return rests


def _play(
  role: str, program: int, sheet: Sheet, rng: np.random.Generator
) -> list[Stroke]:
  groove, center = sheet.groove, cast.center(role, program)
  match role:
    case "drums":
      return players.drums(sheet, rng)
    case "bass":
      return players.bass(sheet, rng, center)
    case "lead":
      return players.lead(sheet, rng, center)
    case "percussion":
      return players.percussion(sheet, rng, center)
  grids = {"comp": groove.comp, "pad": groove.pad, "arp": groove.arp}[role]
  voices = 3 if role == "arp" else int(rng.integers(3, 5))
  center += int(rng.integers(-4, 5))
  return players.chords(sheet, rng, grids, program, center, voices)


def _perform(
  strokes: list[Stroke],
  sheet: Sheet,
  rests: list[tuple[int, int]],
  rng: np.random.Generator,
  loose: float,
  seconds: float,
) -> tuple[Note, ...]:
  """Strokes played by a person: kept where heard, a little early or late.

  A note ends before the same pitch is struck again, and with the song.
  """
  strokes = sorted(strokes, key=lambda stroke: (stroke.step, stroke.pitch))
  behind = rng.normal(0, loose)  # this player's own place in the beat
  shifts = behind + rng.normal(0, loose, len(strokes))
  touches = rng.normal(0, 0.045, len(strokes))
  notes: list[Note] = []
  struck: dict[int, int] = {}  # index in notes of a pitch's latest note
  for stroke, shift, touch in zip(strokes, shifts, touches):
    start = max(sheet.clock.seconds(stroke.step) + float(shift), 0.0)
    end = sheet.clock.seconds(stroke.step + stroke.length) + behind
    end = min(max(end, start + 0.03), seconds)
    resting = any(first <= stroke.step < last for first, last in rests)
    if resting or start > seconds - 0.05:
      continue
    velocity = min(max(round(127 * (stroke.force + float(touch))), 12), 127)
    if stroke.pitch in struck:
      before = notes[struck[stroke.pitch]]
      if start <= before.start:
        continue
      notes[struck[stroke.pitch]] = dataclasses.replace(
        before, end=min(before.end, start)
      )
    struck[stroke.pitch] = len(notes)
    notes.append(Note(start, float(end), stroke.pitch, velocity))
  return tuple(sorted(notes, key=lambda note: (note.start, note.pitch)))
