"""Read chord symbols in the markers of a MIDI file."""

import re
from collections.abc import Sequence

from stemgen_jax.data.sources.band import harmony
from stemgen_jax.data.sources.band.score import Chord

_SYMBOL = re.compile(r"([A-G])([#b]?)(m(?!aj|7b5))?([^/\s]*)(?:/[A-G][#b]?)?")
_NO_CHORD = ("N.C.", "NC", "N")
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_FEWEST = 4  # markers "A" and "B" of sections are not chords


def parse(symbol: str) -> harmony.Harmony | None:
  """Return the chord of a symbol such as "Ebmaj7" or "F#m7b5", or None."""
  if not (match := _SYMBOL.fullmatch(symbol.strip())):
    return None
  letter, accidental, minor, suffix, *_ = match.groups()
  root = _NATURALS[letter] + {"": 0, "#": 1, "b": -1}[accidental]
  try:
    return harmony.parse_chord(
      ("i" if minor else "I") + suffix, root % 12, "major", sevenths=False
    )
  except ValueError:  # a suffix that the band does not know
    return None


def chords(
  markers: Sequence[tuple[float, str]], end: float
) -> tuple[Chord, ...]:
  """Return the chords that markers name; () if they name other things.

  Most markers have to be chord symbols. Without a marker "N.C." there have to
  be four, and one of them more than a letter.

  Args:
    markers: times in seconds and texts.
    end: end of the last chord in seconds.
  """
  named = [
    (time, parse(text))
    for time, text in markers
    if text.strip() and text.strip() not in _NO_CHORD
  ]
  known = [chord for _, chord in named if chord]
  if len(known) < 0.8 * len(named):
    return ()
  stated = any(text.strip() in _NO_CHORD[:2] for _, text in markers)
  if not stated and (
    len(known) < _FEWEST or all(len(chord.label) == 1 for chord in known)
  ):
    return ()
  stops = [*(time for time, _ in markers[1:]), end]
  found = []
  for (start, text), stop in zip(markers, stops):
    chord = parse(text)
    if chord and stop > start:
      found.append(Chord(start, stop, chord.label, chord.pitch_classes))
  return tuple(found)
