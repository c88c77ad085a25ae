"""The musicians: each turns grids and the lead sheet into notes.

A player takes the sheet and its own random generator and plays the whole
song; `score` decides in which sections it is heard.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from stemgen_jax.data.band import harmony, rhythm
from stemgen_jax.data.band.rhythm import Hit
from stemgen_jax.data.band.sheet import Section, Sheet

DRUMS = {  # General MIDI drum channel
  "kick": 36,
  "snare": 38,
  "rim": 37,
  "clap": 39,
  "hat": 42,
  "pedal": 44,
  "open": 46,
  "ride": 51,
  "bell": 53,
  "crash": 49,
  "low": 45,
  "mid": 47,
  "high": 50,
  "floor": 41,
  "tamb": 54,
  "cow": 56,
  "shaker": 70,
  "conga": 63,
  "tumba": 64,
  "clave": 75,
  "bongo": 60,
}
_FORCE = {"X": 0.95, "x": 0.8, "o": 0.6, "s": 0.55, "g": 0.34, "?": 0.45}
_STRUMMED = range(24, 32)
_POWER_CHORDS = (29, 30)  # overdriven and distorted guitar


@dataclasses.dataclass(frozen=True)
class Stroke:
  """A note in steps, before the clock; force is 0..1, as velocity."""

  step: float
  length: float
  pitch: int
  force: float


def parse_beat(beat: str) -> dict[str, tuple[list[Hit], int]]:
  """Hits and length of every drum in a drum grid."""
  lines = (line.split(maxsplit=1) for line in beat.strip().splitlines())
  return {drum: rhythm.parse_grid(grid) for drum, grid in lines}


def _tiled(
  hits: list[Hit], steps: int, sheet: Sheet, section: Section
) -> Iterator[Hit]:
  """A grid's hits repeated through a section, in the song's steps."""
  end = sheet.end_of(section)
  for origin in range(section.start, end, steps):
    for hit in hits:
      start = origin + hit.step
      if start < end:
        yield Hit(start, min(hit.length, end - start), hit.symbol)


def _by_chord(hits: Iterator[Hit], sheet: Sheet) -> Iterator[Hit]:
  """Hits cut where the chord changes, and struck again there."""
  for hit in hits:
    end = hit.step + hit.length
    while hit.step < end:
      cut = min(end, max(sheet.span_at(hit.step).end, hit.step + 1))
      yield Hit(hit.step, cut - hit.step, hit.symbol)
      hit = Hit(cut, end - cut, hit.symbol)


def _choices(
  rng: np.random.Generator, grids: tuple[str, ...]
) -> dict[str, str]:
  """A grid for each letter of the form, different ones where possible."""
  order = rng.permutation(len(grids))
  return {
    letter: grids[order[number % len(grids)]]
    for number, letter in enumerate("AB")
  }


def drums(sheet: Sheet, rng: np.random.Generator) -> list[Stroke]:
  """The kit: beats, ghost notes, fills into sections, crashes out of them."""
  strokes = []

  def strike(drum: str, hit: Hit, energy: float) -> None:
    if hit.symbol != "?" or rng.random() < 0.4:
      force = _FORCE[hit.symbol] * (0.75 + 0.25 * energy)
      strokes.append(Stroke(hit.step, hit.length, DRUMS[drum], force))

  for number, section in enumerate(sheet.sections):
    end = sheet.end_of(section)
    fill_start = end
    if sheet.groove.fills and rng.random() < 0.8:
      fill = parse_beat(
        sheet.groove.fills[rng.integers(len(sheet.groove.fills))]
      )
      fill_start = end - max(steps for _, steps in fill.values())
      for drum, (hits, _) in fill.items():
        for hit in hits:
          moved = dataclasses.replace(hit, step=fill_start + hit.step)
          strike(drum, moved, section.energy)
    for drum, (hits, steps) in parse_beat(section.beat).items():
      for hit in _tiled(hits, steps, sheet, section):
        if hit.step < fill_start:
          strike(drum, hit, section.energy)
    if number and section.energy > 0.6 and rng.random() < 0.6:
      strike("crash", Hit(section.start, 4, "x"), section.energy)
  return strokes


def _kick_grid(section: Section) -> tuple[list[Hit], int]:
  """A bass line of roots on the kick drum."""
  hits, steps = parse_beat(section.beat)["kick"]
  hits = [hit for hit in hits if hit.symbol in "Xxo"]
  ends = [hit.step for hit in hits[1:]] + [steps]
  line = [
    Hit(hit.step, min(end - hit.step, 4), "R") for hit, end in zip(hits, ends)
  ]
  return line, steps


def bass(
  sheet: Sheet, rng: np.random.Generator, lowest: int = 28
) -> list[Stroke]:
  """Roots, fifths and ways to the next root, within 17 semitones."""
  strokes = []
  grids = _choices(rng, sheet.groove.bass)
  previous, heard = lowest + 8, None
  for section in sheet.sections:
    grid = grids[section.letter]
    hits, steps = (
      _kick_grid(section) if grid == "kick" else rhythm.parse_grid(grid)
    )
    for hit in _by_chord(_tiled(hits, steps, sheet, section), sheet):
      span = sheet.span_at(hit.step)
      chord, symbol = span.chord, hit.symbol
      if span is not heard and symbol != "a":  # a new chord: say its root
        symbol, heard = "R", span
      root = harmony.fold(harmony.nearest((chord.root,), previous), lowest, 42)
      step = {"3": 1, "5": 2, "7": 3}.get(symbol, 0)
      upward = chord.intervals[step] if step < len(chord.intervals) else 12
      pitch = root + (12 if symbol == "8" else upward)
      if symbol == "a":
        goal = sheet.span_at(span.end).chord.root
        near = harmony.nearest((goal,), previous)
        pitch = near + int(rng.choice([-1, 1, -2, 2, -5]))
      elif symbol == "w":
        goal = harmony.nearest((sheet.span_at(span.end).chord.root,), previous)
        way = 1 if goal > previous or rng.random() < 0.35 else -1
        tones = (
          chord.pitch_classes
          if hit.step % (2 * sheet.clock.meter.beat) == 0
          else sheet.scale_at(hit.step)
        )
        pitch = harmony.nearest(tones, previous + 2.6 * way)
      pitch = harmony.fold(pitch, lowest, lowest + 17)
      force = (0.5 if symbol == "g" else 0.8) * (0.75 + 0.25 * section.energy)
      force += 0.06 * (hit.step % sheet.clock.meter.bar == 0)
      strokes.append(Stroke(hit.step, hit.length * 0.94, pitch, force))
      previous = pitch
  return strokes


def chords(
  sheet: Sheet,
  rng: np.random.Generator,
  grids: tuple[str, ...],
  program: int,
  center: int = 60,
  voices: int = 4,
) -> list[Stroke]:
  """Comping, pads and arpeggios: led voicings, struck whole or in parts."""
  strokes = []
  grid_of = _choices(rng, grids)
  strum = rng.uniform(0.008, 0.02) if program in _STRUMMED else 0.0
  spread = strum / sheet.clock.step_seconds
  voicing, heard = None, None
  for section in sheet.sections:
    hits, steps = rhythm.parse_grid(grid_of[section.letter])
    for hit in _by_chord(_tiled(hits, steps, sheet, section), sheet):
      span = sheet.span_at(hit.step)
      if span is not heard or voicing is None:
        heard = span
        if program in _POWER_CHORDS:
          root = harmony.fold(span.chord.root, 40, 51)
          voicing = (root, root + span.chord.intervals[2] % 12, root + 12)
        else:
          voicing = harmony.voice(span.chord, voicing, center, voices)
      if hit.symbol.isdigit():
        octave, tone = divmod(int(hit.symbol) - 1, len(voicing))
        struck = (voicing[tone] + 12 * octave,)
        force = 0.72
      else:
        struck = {"b": voicing[:1], "u": voicing[1:]}.get(hit.symbol, voicing)
        force = _FORCE.get(hit.symbol, 0.7)
      force *= 0.75 + 0.25 * section.energy
      force += 0.05 * (hit.step % sheet.clock.meter.beat == 0)
      if hit.step % sheet.clock.meter.beat and spread:
        struck = struck[::-1]  # off the beat the hand comes back up
      for order, pitch in enumerate(struck):
        late = order * spread
        length = max(hit.length * 0.95 - late, 0.5)
        strokes.append(Stroke(hit.step + late, length, pitch, force))
  return strokes


def _contour(rng: np.random.Generator, notes: int) -> np.ndarray:
  """A melody's course in scale steps, wandering round where it began."""
  steps = rng.choice(
    [-3, -2, -1, 0, 1, 2, 4],
    size=notes,
    p=[0.05, 0.15, 0.27, 0.08, 0.27, 0.13, 0.05],
  )
  course = np.zeros(notes, int)
  for i in range(1, notes):
    course[i] = course[i - 1] + steps[i]
    if abs(course[i]) > 5:
      course[i] = course[i - 1] - steps[i]
  return course


def lead(
  sheet: Sheet, rng: np.random.Generator, center: int = 72
) -> list[Stroke]:
  """Motifs that come back over new chords: a, a, a varied, b.

  Strong beats and long notes get the chord tone nearest to the motif's
  course, the others the nearest tone of the scale.
  """
  strokes = []
  beat = sheet.clock.meter.beat
  motifs = {}
  for letter in "AB":
    for kind in "ab":
      grid = sheet.groove.lead[rng.integers(len(sheet.groove.lead))]
      hits, steps = rhythm.parse_grid(grid)
      motifs[letter + kind] = (hits, steps, _contour(rng, len(hits)))
  scheme = ["aaab", "abab", "aab.", "a.ab"][rng.integers(4)]
  home = center + int(rng.integers(-3, 4))
  for section in sheet.sections:
    start, turn = section.start, 0
    end = sheet.end_of(section)
    while start < end:
      kind = scheme[turn % 4]
      hits, steps, course = motifs[section.letter + kind.replace(".", "a")]
      varied = turn % 4 == 2
      for index, hit in enumerate(hits):
        step = start + hit.step
        if kind == "." or step >= end or (varied and rng.random() < 0.15):
          continue
        span = sheet.span_at(step)
        # A scale step is about 1.7 semitones.
        target = home + 1.7 * (course[index] + varied * (index > 1))
        strong = hit.symbol == "x" or step % beat == 0 or hit.length >= beat
        tones = span.chord.pitch_classes if strong else sheet.scale_at(step)
        pitch = harmony.nearest(tones, target)
        # A held note stops where a chord it does not belong to begins.
        length = hit.length
        later = sheet.span_at(step + length - 1).chord
        if pitch % 12 not in later.pitch_classes and step + length > span.end:
          length = max(span.end - step, 1)
        force = 0.68 + 0.12 * (step % beat == 0) + 0.08 * section.energy
        strokes.append(Stroke(step, length * 0.93, pitch, force))
      start, turn = start + steps, turn + 1
  return strokes


def percussion(
  sheet: Sheet, rng: np.random.Generator, center: int = 64
) -> list[Stroke]:
  """Hand percussion at three pitches."""
  grids = _choices(rng, sheet.groove.percussion)
  pitches = {"h": center + 7, "m": center + 2, "l": center - 5}
  strokes = []
  for section in sheet.sections:
    hits, steps = rhythm.parse_grid(grids[section.letter])
    for hit in _tiled(hits, steps, sheet, section):
      if rng.random() < 0.95:
        force = 0.8 if hit.symbol.isupper() else 0.5
        force *= 0.75 + 0.25 * section.energy
        pitch = pitches[hit.symbol.lower()]
        strokes.append(Stroke(hit.step, hit.length, pitch, force))
  return strokes
