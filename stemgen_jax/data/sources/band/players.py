"""The players: each turns grids and the lead sheet into strokes.

A player takes the lead sheet and a random generator of its own and plays the
whole song; `performance` adds the rests.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from stemgen_jax.data.sources.band import harmony, rhythm
from stemgen_jax.data.sources.band.lead_sheet import LeadSheet, Section
from stemgen_jax.data.sources.band.rhythm import Hit

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
  """A note with start and length in steps; force 0..1 becomes its velocity."""

  step: float
  length: float
  pitch: int
  force: float


def parse_beat(beat: str) -> dict[str, tuple[list[Hit], int]]:
  """Return drum -> its hits and their length in steps, of a drum grid."""
  lines = (line.split(maxsplit=1) for line in beat.strip().splitlines())
  return {drum: rhythm.parse_grid(grid) for drum, grid in lines}


def _tiled(
  hits: list[Hit], steps: int, sheet: LeadSheet, section: Section
) -> Iterator[Hit]:
  """Yield a grid's hits, repeated through a section, in the song's steps."""
  end = sheet.end_of(section)
  for origin in range(section.start, end, steps):
    for hit in hits:
      start = origin + hit.step
      if start < end:
        yield Hit(start, min(hit.length, end - start), hit.symbol)


def _by_chord(hits: Iterator[Hit], sheet: LeadSheet) -> Iterator[Hit]:
  """Yield hits cut at chord changes, and struck again there."""
  for hit in hits:
    end = hit.step + hit.length
    while hit.step < end:
      cut = min(end, max(sheet.span_at(hit.step).end, hit.step + 1))
      yield Hit(hit.step, cut - hit.step, hit.symbol)
      hit = Hit(cut, end - cut, hit.symbol)


def _grids(
  rng: Generator, grids: tuple[str, ...], sheet: LeadSheet
) -> dict[str, tuple[list[Hit], int]]:
  """Draw a grid for each letter of the form, different if possible."""
  order = rng.permutation(len(grids))
  chosen = {}
  for number, letter in enumerate("AB"):
    grid = grids[order[number % len(grids)]]
    if grid == "kick":
      section = next(
        (s for s in sheet.sections if s.letter == letter), sheet.sections[0]
      )
      hits, steps = _kick_grid(section)
    else:
      hits, steps = rhythm.parse_grid(grid)
    chosen[letter] = rhythm.vary(hits, sheet.clock.meter.beat, rng), steps
  return chosen


def _kick_grid(section: Section) -> tuple[list[Hit], int]:
  """Return a bass line of roots on the kick drum."""
  hits, steps = parse_beat(section.beat)["kick"]
  hits = [hit for hit in hits if hit.symbol in "Xxo"]
  ends = [hit.step for hit in hits[1:]] + [steps]
  line = [
    Hit(hit.step, min(end - hit.step, 4), "R") for hit, end in zip(hits, ends)
  ]
  return line, steps


def drums(sheet: LeadSheet, rng: Generator) -> list[Stroke]:
  """Play the kit: beats, ghost notes, fills before sections, crashes on them.

  In a quiet section one of its drums may be left out.
  """
  strokes = []

  def strike(drum: str, hit: Hit, section: Section) -> None:
    if hit.symbol != "?" or rng.random() < 0.4:
      force = _FORCE[hit.symbol] * section.touch
      strokes.append(Stroke(hit.step, hit.length, DRUMS[drum], force))

  for number, section in enumerate(sheet.sections):
    fill_start = sheet.end_of(section)
    if rng.random() < 0.8:  # the fill ends with the section
      fills = sheet.groove.fills
      fill = parse_beat(fills[rng.integers(len(fills))])
      fill_start -= max(steps for _, steps in fill.values())
      for drum, (hits, _) in fill.items():
        for hit in hits:
          moved = dataclasses.replace(hit, step=fill_start + hit.step)
          strike(drum, moved, section)
    beat = parse_beat(section.beat)
    if section.energy < 0.7 and rng.random() < 0.35:
      del beat[str(rng.choice(list(beat)))]
    for drum, (hits, steps) in beat.items():
      for hit in _tiled(hits, steps, sheet, section):
        if hit.step < fill_start:
          strike(drum, hit, section)
    if number and section.energy > 0.6 and rng.random() < 0.6:
      strike("crash", Hit(section.start, 4, "x"), section)
  return strokes


def bass(sheet: LeadSheet, rng: Generator, lowest: int = 28) -> list[Stroke]:
  """Play roots, fifths and approaches to the next root in 17 semitones."""
  strokes = []
  grids = _grids(rng, sheet.groove.bass, sheet)
  previous, current = lowest + 8, None
  for section in sheet.sections:
    hits, steps = grids[section.letter]
    for hit in _by_chord(_tiled(hits, steps, sheet, section), sheet):
      span, symbol = sheet.span_at(hit.step), hit.symbol
      if span is not current and symbol != "a":  # a new chord: play its root
        symbol, current = "R", span
      pitch = _bass_pitch(symbol, hit.step, previous, sheet, rng)
      pitch = harmony.fold(pitch, lowest, lowest + 17)
      force = (0.5 if symbol == "g" else 0.8) * section.touch
      force += 0.06 * (hit.step % sheet.clock.meter.bar == 0)
      strokes.append(Stroke(hit.step, hit.length * 0.94, pitch, force))
      previous = pitch
  return strokes


def _bass_pitch(
  symbol: str, step: int, previous: int, sheet: LeadSheet, rng: Generator
) -> int:
  """Return the pitch of a bass grid's symbol, near the previous one."""
  span = sheet.span_at(step)
  goal = harmony.nearest((sheet.span_at(span.end).chord.root,), previous)
  if symbol == "a":  # from a semitone, a tone or a fourth away
    ways = [goal + way for way in (-1, 1, -2, 2, -5) if goal + way != previous]
    return int(rng.choice(ways))
  if symbol == "w":
    way = 1 if goal > previous or rng.random() < 0.35 else -1
    strong = step % (2 * sheet.clock.meter.beat) == 0
    tones = span.chord.pitch_classes if strong else sheet.scale_at(step)
    fresh = [tone for tone in tones if tone != previous % 12]
    return harmony.nearest(fresh, previous + 2.6 * way)
  root = harmony.nearest((span.chord.root,), previous)
  intervals = (*span.chord.intervals[:4], 12)
  index = {"3": 1, "5": 2, "7": 3, "8": -1}.get(symbol, 0)
  return root + intervals[index]


def chords(
  sheet: LeadSheet,
  rng: Generator,
  grids: tuple[str, ...],
  program: int,
  center: int = 60,
  voices: int = 4,
) -> list[Stroke]:
  """Play comping, pads and arpeggios: voicings, struck whole or in parts."""
  strokes = []
  chosen = _grids(rng, grids, sheet)
  strum = rng.uniform(0.008, 0.02) if program in _STRUMMED else 0.0
  spread = strum / sheet.clock.step_seconds  # delay between strings, in steps
  voicing, current = (), None
  for section in sheet.sections:
    hits, steps = chosen[section.letter]
    for hit in _by_chord(_tiled(hits, steps, sheet, section), sheet):
      span = sheet.span_at(hit.step)
      if span is not current and program in _POWER_CHORDS:
        # Root, fifth and octave: thirds sound muddy with distortion.
        root = harmony.fold(span.chord.root, 40, 51)
        voicing = (root, root + span.chord.intervals[2] % 12, root + 12)
      elif span is not current:
        voicing = harmony.voice(span.chord, voicing, center, voices)
      current = span
      struck, force = voicing, _FORCE.get(hit.symbol, 0.72)
      # 1-9 pick a note, continuing an octave higher above the last voice.
      if hit.symbol.isdigit():
        octave, tone = divmod(int(hit.symbol) - 1, len(voicing))
        struck = (voicing[tone] + 12 * octave,)
      elif hit.symbol in "bu":
        struck = voicing[:1] if hit.symbol == "b" else voicing[1:]
      on_beat = hit.step % sheet.clock.meter.beat == 0
      force = force * section.touch + 0.05 * on_beat
      if spread and not on_beat:
        struck = struck[::-1]  # off the beat the hand strums upwards
      for order, pitch in enumerate(struck):
        late = order * spread
        length = max(hit.length * 0.95 - late, 0.5)
        strokes.append(Stroke(hit.step + late, length, pitch, force))
  return strokes


def _contour(rng: Generator, notes: int) -> np.ndarray:
  """Draw a melody's contour in scale steps: a random walk within +-5."""
  steps = rng.choice(
    [-3, -2, -1, 0, 1, 2, 4],
    size=notes,
    p=[0.05, 0.15, 0.27, 0.08, 0.27, 0.13, 0.05],
  )
  contour = np.zeros(notes, int)
  for i in range(1, notes):
    contour[i] = contour[i - 1] + steps[i]
    if abs(contour[i]) > 5:
      contour[i] = contour[i - 1] - steps[i]
  return contour


def lead(sheet: LeadSheet, rng: Generator, center: int = 72) -> list[Stroke]:
  """Play motifs that return over new chords.

  Each letter of the form has two, a and b, played in an order like "aaab"
  ("." is a rest, the third turn is varied). Strong beats and long notes get
  the chord tone nearest to the motif's contour, others the scale tone.
  """
  strokes = []
  beat = sheet.clock.meter.beat
  motifs = {}  # letter and motif -> hits, steps, contour
  for kind in ("Aa", "Ab", "Ba", "Bb"):
    grid = sheet.groove.lead[rng.integers(len(sheet.groove.lead))]
    hits, steps = rhythm.parse_grid(grid)
    hits = rhythm.vary(hits, beat, rng)
    motifs[kind] = hits, steps, _contour(rng, len(hits))
  order = ("aaab", "abab", "aab.", "a.ab")[rng.integers(4)]
  home = center + int(rng.integers(-3, 4))
  for section in sheet.sections:
    start, turn, end = section.start, 0, sheet.end_of(section)
    while start < end:
      kind, varied = order[turn % 4], turn % 4 == 2
      hits, steps, contour = motifs[section.letter + kind.replace(".", "a")]
      for index, hit in enumerate(hits):
        step = start + hit.step
        if kind == "." or step >= end or (varied and rng.random() < 0.15):
          continue
        span = sheet.span_at(step)
        # A step of the scale is about 1.7 semitones.
        target = home + 1.7 * (contour[index] + varied * (index > 1))
        strong = hit.symbol == "x" or step % beat == 0 or hit.length >= beat
        tones = span.chord.pitch_classes if strong else sheet.scale_at(step)
        pitch = harmony.nearest(tones, target)
        # A held note stops before a chord that does not contain it.
        length = min(hit.length, end - step)
        later = sheet.span_at(step + length - 1).chord
        if pitch % 12 not in later.pitch_classes and step + length > span.end:
          length = max(span.end - step, 1)
        force = 0.7 * section.touch + 0.12 * (step % beat == 0)
        strokes.append(Stroke(step, length * 0.93, pitch, force))
      start, turn = start + steps, turn + 1
  return strokes


def percussion(
  sheet: LeadSheet, rng: Generator, center: int = 64
) -> list[Stroke]:
  """Play hand percussion at three pitches."""
  grids = _grids(rng, sheet.groove.percussion, sheet)
  pitches = {"h": center + 7, "m": center + 2, "l": center - 5}
  strokes = []
  for section in sheet.sections:
    hits, steps = grids[section.letter]
    for hit in _tiled(hits, steps, sheet, section):
      force = (0.8 if hit.symbol.isupper() else 0.5) * section.touch
      pitch = pitches[hit.symbol.lower()]
      strokes.append(Stroke(hit.step, hit.length, pitch, force))
  return strokes
