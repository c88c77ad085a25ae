"""Perform strokes: rests, human timing and touch."""

import dataclasses

from numpy.random import Generator

from stemgen_jax.data.sources.band.lead_sheet import LeadSheet
from stemgen_jax.data.sources.band.players import Stroke
from stemgen_jax.data.sources.band.score import Note


def draw_rests(
  rng: Generator, sheet: LeadSheet, steps: float, always: bool
) -> list[tuple[int, int]]:
  """Draw the rests of a part in steps: late entry, dropouts, breaks.

  A part rests in at most about half of the song.

  Args:
    rng: random generator of the part.
    sheet: the song.
    steps: length of the song in steps.
    always: whether the part plays in every section, with breaks only.
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
  # Breaks of half a bar or a bar at the end of a section.
  bar = sheet.clock.meter.bar
  for section in sections:
    if rng.random() < 0.1:
      end = sheet.end_of(section)
      rests.append((end - bar // int(rng.integers(1, 3)), end))
  return rests


def perform(
  strokes: list[Stroke],
  sheet: LeadSheet,
  rests: list[tuple[int, int]],
  rng: Generator,
  loose: float,
  seconds: float,
) -> tuple[Note, ...]:
  """Turn strokes into notes, slightly early or late as a person plays them.

  Strokes in rests are dropped. A note ends before the same pitch is struck
  again, and with the song.

  Args:
    strokes: strokes of the part.
    sheet: the song.
    rests: first and last step of each rest.
    rng: random generator of the part.
    loose: standard deviation of the timing in seconds.
    seconds: length of the song.
  """
  strokes = sorted(strokes, key=lambda stroke: (stroke.step, stroke.pitch))
  behind = rng.normal(0, loose)  # constant offset of this player
  shifts = behind + rng.normal(0, loose, len(strokes))
  touches = rng.normal(0, 0.045, len(strokes))
  notes: list[Note] = []
  struck: dict[int, int] = {}  # pitch -> index of its latest note in `notes`
  for stroke, shift, touch in zip(strokes, shifts, touches):
    start = max(sheet.clock.seconds(stroke.step) + float(shift), 0.0)
    end = sheet.clock.seconds(stroke.step + stroke.length) + behind
    end = min(max(end, start + 0.03), seconds)
    resting = any(first <= stroke.step < last for first, last in rests)
    if resting or start > seconds - 0.05:
      continue
    velocity = min(max(round(127 * (stroke.force + float(touch))), 12), 127)
    if stroke.pitch in struck:  # end the earlier note of this pitch
      before = notes[struck[stroke.pitch]]
      if start <= before.start:
        continue
      notes[struck[stroke.pitch]] = dataclasses.replace(
        before, end=min(before.end, start)
      )
    struck[stroke.pitch] = len(notes)
    notes.append(Note(start, float(end), stroke.pitch, velocity))
  return tuple(sorted(notes, key=lambda note: (note.start, note.pitch)))
