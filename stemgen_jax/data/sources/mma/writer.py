"""Draw a song as a text for `mma`, and let it write the MIDI file."""

import difflib
import math
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator

from stemgen_jax import disk
from stemgen_jax.data.sources import band
from stemgen_jax.data.sources.band import (
  harmony,
  lead_sheet,
  rhythm,
  song_form,
  writer,
)
from stemgen_jax.data.sources.midi import read
from stemgen_jax.data.sources.mma import styles
from stemgen_jax.data.sources.mma.styles import Style

_ATTEMPTS = 40  # about a fifth of the songs are refused
_FEWEST = 3  # instruments of a song
_TIMEOUT = 60  # seconds of a run, which takes less than one
_INTRO_SHARE = 0.3  # share of songs that begin with an intro, if there is one
_INTRO_BARS = 4
_FILL_SHARE = 0.7  # share of sections that end with a fill, if there is one
# Chords that mma names differently.
_SYMBOLS = {"madd9": "m(add9)"}


def write(
  known: Sequence[Style], seed: int, number: int, seconds: float
) -> tuple[Style, bytes]:
  """Return a song's style and MIDI file, a function of the arguments.

  Styles that `mma` refuses, in another meter, or with fewer than three
  instruments are drawn again.

  Args:
    known: styles to draw from.
    seed: seed of all songs.
    number: number of the song.
    seconds: least length.

  Raises:
    FileNotFoundError: `mma` is not installed.
    ValueError: it does not write songs.
  """
  problem = ""
  for attempt in range(_ATTEMPTS):
    rng = np.random.default_rng([seed, number, attempt])
    style = known[int(rng.integers(len(known)))]
    try:
      return style, _perform(style, draw(style, rng, seconds))
    except ValueError as error:
      problem = f"{style.name}: {error}"
  raise ValueError(
    f"mma wrote no song in {_ATTEMPTS} attempts (the last one, {problem}); "
    f"expected {_FEWEST} instruments; check that mma runs"
  )


def draw(style: Style, rng: Generator, seconds: float) -> str:
  """Return the text of a song: seed, tempo, key, chords and grooves by bar.

  Chords are also markers of the MIDI file, which the MIDI source reads.

  Args:
    style: style of the song.
    rng: random generator.
    seconds: least length.
  """
  genre, _, progressions = writer.draw_world(
    rng, band.Style(genres=(style.band_genre.name,))
  )
  tempo = round(rng.uniform(*style.tempo))
  tonic = int(rng.integers(12))
  mode = harmony.mode_of(progressions["A"])
  changes = {
    letter: harmony.parse_progression(line, tonic, genre.sevenths)
    for letter, line in progressions.items()
  }
  clock = rhythm.Clock(rhythm.METERS[style.meter], tempo)
  bars = {letter: len(chords) for letter, chords in changes.items()}
  sections = song_form.draw_sections(rng, clock, seconds, style.grooves, bars)
  spans = song_form.place_chords(changes, sections, clock.meter)
  grooves = list(_grooves(style, sections, rng))
  key = harmony.KEYS[tonic]
  if 3 in harmony.MODES[mode]:
    key = {"Db": "C#"}.get(key, key) + " Minor"
  lines = [f"RndSeed {rng.integers(1 << 30)}", f"Tempo {tempo}"]
  size = clock.meter.bar
  for bar in range(math.ceil(seconds / clock.seconds(size))):
    if not bar or grooves[bar] != grooves[bar - 1]:
      lines.append(f"Groove {style.name}:{grooves[bar]}")
      if style.meter == "3/4":  # some waltzes leave the file's meter at 4/4
        lines.append("TimeSig 3 4")
    if not bar:
      # After the library has been read; "N.C." states that markers are chords.
      lines += [f"KeySig {key}", "MidiMark N.C."]
    lines += _bar(bar, size, clock.meter.beat, spans)
  return "\n".join(lines) + "\n"


def _grooves(
  style: Style, sections: Sequence[lead_sheet.Section], rng: Generator
) -> Iterator[str]:
  """Yield the groove of every bar."""
  intro = ""
  if style.intros and rng.random() < _INTRO_SHARE:
    intro = str(rng.choice(style.intros))
  for section in sections:
    # The fill whose name resembles the groove's most.
    fill = difflib.get_close_matches(section.beat, style.fills, 1, cutoff=0)
    last = fill[0] if rng.random() < _FILL_SHARE and fill else section.beat
    for bar in range(section.bars):
      if intro and not section.start and bar < _INTRO_BARS:
        yield intro
      else:
        yield last if bar == section.bars - 1 else section.beat


def _bar(
  bar: int, size: int, beat: int, spans: Sequence[lead_sheet.Span]
) -> Iterator[str]:
  """Yield the lines of a bar: a marker for every new chord, and its chords."""
  begin, symbols = bar * size, []
  for span in spans:
    if span.start < begin + size and span.end > begin:
      label = span.chord.label
      at = (max(span.start, begin) - begin) // beat  # in beats
      if span.start >= begin:
        yield f"MidiMark {at} {label}"
      for ours, theirs in _SYMBOLS.items():
        label = label.replace(ours, theirs)
      symbols.append(f"{label}@{at + 1}")
  yield f"{bar + 1} {' '.join(symbols)}"


def _perform(style: Style, text: str) -> bytes:
  """Return the MIDI file of a text; ValueError if it is unusable."""
  program = styles.program()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    disk.write_text(folder / "song.mma", text)
    disk.write_text(folder / "mmarc", "")  # in place of the user's settings
    try:
      done = subprocess.run(
        [program, "-w", "-xNOCREDIT", "-f", "song.mid", "song.mma"],
        cwd=folder,
        # The order of its sets must not change its draws.
        env=os.environ | {"PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT,
      )
    except subprocess.TimeoutExpired as error:
      raise ValueError(f"no result after {_TIMEOUT} s") from error
    path = folder / "song.mid"
    if done.returncode or not path.is_file():
      printed = f"{done.stdout} {done.stderr}".split()
      raise ValueError(
        " ".join(printed)[-200:] or f"exit code {done.returncode}"
      )
    score = read(path)
    meters = {f"{count}/{unit}" for _, (count, unit) in score.meters}
    if meters != {style.meter}:
      raise ValueError(f"meters {', '.join(sorted(meters))}")
    if len(score.parts) < _FEWEST:
      raise ValueError(f"{len(score.parts)} instruments")
    return path.read_bytes()
