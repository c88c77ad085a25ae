"""Draw the form of a song: its sections, and the positions of its chords."""

import dataclasses
import math

from numpy.random import Generator

from stemgen_jax.data.sources.band import rhythm
from stemgen_jax.data.sources.band.harmony import Harmony
from stemgen_jax.data.sources.band.lead_sheet import Section, Span


def draw_sections(
  rng: Generator,
  clock: rhythm.Clock,
  seconds: float,
  beats: tuple[str, ...],
  bars: dict[str, int],
) -> tuple[Section, ...]:
  """Draw sections of 4 or 8 bars that cover the song.

  Args:
    rng: random generator.
    clock: tempo and meter.
    seconds: length of the song.
    beats: drum grids of the groove; every letter gets one.
    bars: letter -> bars of its progression; long ones make 8 bars likely.
  """
  bar_seconds = clock.step_seconds * clock.meter.bar
  # The sections' energies are drawn last, so that a longer song only adds
  # sections.
  form = ["AB", "AAB", "ABAB", "AABA", "ABB"][rng.integers(5)]
  length = {
    letter: 8
    if bar_seconds < 1.9 and rng.random() < (0.8 if bars[letter] > 4 else 0.3)
    else 4
    for letter in "AB"
  }
  # A and B get different beats, if the groove has two.
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


def place_chords(
  progressions: dict[str, list[list[Harmony]]],
  sections: tuple[Section, ...],
  meter: rhythm.Meter,
) -> tuple[Span, ...]:
  """Return the chords of all sections; each restarts its progression."""
  spans: list[Span] = []
  for section in sections:
    bars = progressions[section.letter]
    for number in range(section.bars):
      chords = bars[number % len(bars)]
      # Chords change on beats: two chords in three beats last two and one.
      beats = meter.bar // meter.beat
      edges = [
        section.start
        + number * meter.bar
        + meter.beat * math.ceil(beats * i / len(chords))
        for i in range(len(chords) + 1)
      ]
      for chord, start, end in zip(chords, edges, edges[1:]):
        # A chord that continues is one span, but not across sections.
        if spans and spans[-1].chord == chord and number:
          spans[-1] = dataclasses.replace(spans[-1], end=end)
        else:
          spans.append(Span(start, end, chord))
  return tuple(spans)
