"""Write a song's score from (seed, number, style).

Decisions of the whole song and every part draw from random generators of their
own, so that one part does not change another.
"""

import zlib

import numpy as np
from numpy.random import Generator

from stemgen_jax import categories
from stemgen_jax.data.sources.band import (
  genres,
  harmony,
  instrumentation,
  players,
  rhythm,
  song_form,
)
from stemgen_jax.data.sources.band.genre import Genre
from stemgen_jax.data.sources.band.lead_sheet import LeadSheet
from stemgen_jax.data.sources.band.performance import draw_rests, perform
from stemgen_jax.data.sources.band.players import Stroke
from stemgen_jax.data.sources.band.score import Chord, Part, Score
from stemgen_jax.data.sources.band.style import Style

# Headroom of each part relative to the others; parts with high peaks get more.
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


def write(
  seed: int,
  number: int,
  seconds: float,
  style: Style,
  *,
  reharmonized: bool = False,
) -> Score:
  """Write the score of a song; the same arguments give the same score.

  Args:
    seed: seed of the band.
    number: number of the song.
    seconds: length of the song.
    style: ranges to draw from.
    reharmonized: replace its chord progressions by others of the same mode;
      key, tempo, form, grooves and instruments stay.

  Raises:
    ValueError: the style excludes every instrument.
    LookupError: there is no other progression of this mode and length.
  """

  # The names below seed the generators: to rename one changes all songs.
  def stream(name: str) -> Generator:
    return np.random.default_rng([seed, number, zlib.crc32(name.encode())])

  rng = stream("song")
  genre, meter_name, progressions = draw_world(rng, style)
  if reharmonized:
    progressions = _others(progressions, stream("other chords"))
  groove = genre.grooves[meter_name]
  slowest, fastest = style.tempo_of(genre)
  # Round to half beats per minute, as people set tempi.
  tempo = float(
    np.clip(np.round(2 * rng.uniform(slowest, fastest)) / 2, slowest, fastest)
  )
  key = str(rng.choice(style.keys))
  # Drawn even if unused, so that later draws stay the same. 6/8 has its
  # triplets written out.
  swing = float(round(rng.uniform(*genre.swing), 3))
  if meter_name == "6/8" or not style.swing:
    swing = 0.5
  clock = rhythm.Clock(rhythm.METERS[meter_name], tempo, swing, genre.pair)
  mode = harmony.mode_of(progressions["A"])
  tonic = harmony.KEYS.index(key)

  changes = {
    letter: harmony.parse_progression(line, tonic, genre.sevenths)
    for letter, line in progressions.items()
  }
  sections = song_form.draw_sections(
    stream("form"),
    clock,
    seconds,
    groove.drums,
    {letter: len(bars) for letter, bars in changes.items()},
  )
  sheet = LeadSheet(
    clock=clock,
    groove=groove,
    scale=tuple((tonic + tone) % 12 for tone in harmony.MODES[mode]),
    sections=sections,
    spans=song_form.place_chords(changes, sections, clock.meter),
  )

  members = instrumentation.draw(
    lambda role: stream("cast " + role), genre, groove, style
  )
  # Two of the rhythm section play in every section of the song.
  always = stream("anchors").permutation(
    [role for role in ("drums", "bass", "comp") if role in members]
  )[:2]
  total = sum(_SHARE[role] for role in members)
  parts = []
  for role, program in members.items():
    part_rng = stream(role)
    strokes = _play(role, program, sheet, part_rng)
    steps = seconds / clock.step_seconds
    rests = draw_rests(part_rng, sheet, steps, role in always)
    notes = perform(strokes, sheet, rests, part_rng, genre.loose, seconds)
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


def draw_world(
  rng: Generator, style: Style
) -> tuple[Genre, str, dict[str, str]]:
  """Draw a genre, a meter, and progressions of one mode for A and B."""
  playable = style.playable()
  genre = genres.BOOK[playable[rng.integers(len(playable))]]
  meters = [name for name in genre.grooves if name in style.meters]
  # 4/4 is three times as likely as any other meter.
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


def _others(progressions: dict[str, str], rng: Generator) -> dict[str, str]:
  """Draw other progressions for A and B that leave the form as it is."""
  lines = [
    line
    for family in harmony.PROGRESSIONS.values()
    for line in family
    if harmony.mode_of(line) == harmony.mode_of(progressions["A"])
    and line not in progressions.values()
  ]
  drawn = {}
  for letter, now in progressions.items():
    # Sections of progressions of more than 4 bars tend to be longer.
    fitting = [x for x in lines if (x.count("|") > 3) == (now.count("|") > 3)]
    if not fitting:
      raise LookupError(f"no other progression than {now!r} in its mode")
    drawn[letter] = str(rng.choice(fitting))
  return drawn


def _play(
  role: str, program: int, sheet: LeadSheet, rng: Generator
) -> list[Stroke]:
  groove, center = sheet.groove, instrumentation.center(role, program)
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
