"""From the page to the stage: rests, humanised timing and touch."""

import dataclasses

import numpy as np

from stemgen_jax.data.sources.band.players import Stroke
from stemgen_jax.data.sources.band.score import Note
from stemgen_jax.data.sources.band.sheet import Sheet


def draw_rests(
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


def perform(
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
