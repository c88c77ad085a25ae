"""Keys, modes, chords in Roman numerals, progressions, voice leading."""

import dataclasses
import itertools
import re
from collections.abc import Sequence

KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

MODES = {
  "major": (0, 2, 4, 5, 7, 9, 11),
  "minor": (0, 2, 3, 5, 7, 8, 10),
  "dorian": (0, 2, 3, 5, 7, 9, 10),
  "mixolydian": (0, 2, 4, 5, 7, 9, 10),
  "lydian": (0, 2, 4, 6, 7, 9, 11),
  "phrygian": (0, 1, 3, 5, 7, 8, 10),
}

# Bars are separated by "|"; the chords of a bar share it equally. Numerals are
# degrees of the tonic's major scale in every mode, so those of minor carry a
# flat. Upper case is major, lower case minor; see _QUALITIES for suffixes.
PROGRESSIONS = {
  "pop": (
    "major: I | V | vi | IV",
    "major: vi | IV | I | V",
    "major: I | vi | IV | V",
    "major: IV | V | iii | vi",
    "major: I | IV | vi | V",
    "major: I V | vi IV",
    "major: I | I | IV | V",
    "major: I | iii | IV | iv",
    "major: I V | vi iii | IV I | IV V",
    "minor: i | bVI | bIII | bVII",
    "minor: i | bVII | bVI | bVII",
    "minor: i iv | bVII bIII | bVI iv | V V7",
  ),
  "rock": (
    "mixolydian: I | bVII | IV | I",
    "mixolydian: I bVII | IV I",
    "major: I | IV | V | IV",
    "major: I | V | IV | IV",
    "minor: i | bVI | bVII | i",
    "minor: i | i | bIII bVII | iv",
    "minor: i bVII | bVI V",
    "dorian: i | bIII | IV | i",
    "major: I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7",
  ),
  "jazz": (
    "major: ii7 | V7 | Imaj7 | Imaj7",
    "major: ii7 V7 | Imaj7 vi7",
    "major: Imaj7 vi7 | ii7 V7",
    "major: iii7 VI7 | ii7 V7",
    "major: Imaj7 | IVmaj7 | iii7 | VI7 | ii7 | V7 | Imaj7 vi7 | ii7 V7",
    "minor: iim7b5 | V7 | i7 | i7",
    "minor: i7 | iv7 | iim7b5 V7 | i7",
    "minor: iv7 bVII7 | bIIImaj7 bVImaj7 | iim7b5 V7 | i6",
    "major: I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | VI7 | ii7 | V7 | I7 | V7",
  ),
  "bossa": (
    "major: Imaj7 | Imaj7 | II7 | II7 | ii7 | bII7 | Imaj7 | bII7",
    "major: Imaj7 | #Idim7 | ii7 | V7",
    "major: Imaj9 | vi9 | ii9 | V7",
    "minor: i9 | iv9 | iim7b5 | V7",
  ),
  "soul": (
    "dorian: i7 | IV7",
    "dorian: i7 | i7 | IV7 | IV7",
    "dorian: i7 bIIImaj7 | IV7 i7",
    "mixolydian: I7 | bVIImaj7 | IV7 | I7",
    "mixolydian: I7 | I7 | IV7 | I7",
    "major: IVmaj7 | iii7 | vi7 | Imaj7",
    "major: IVmaj7 | III7 | vi7 | v7 I7",
    "major: IVmaj7 iii7 | ii7 Imaj7",
    "minor: i7 | bVImaj7 | iv7 | v7",
    "minor: bVImaj7 | v7 | i7 | i7",
  ),
  "vamp": (
    "minor: i | i | i | i",
    "minor: i | i | bVI | bVI",
    "minor: i | bVII",
    "minor: i | v | bVI | iv",
    "dorian: i | i | IV | IV",
    "phrygian: i | bII",
    "phrygian: i | i | bII | bvii",
    "lydian: I | II",
    "minor: i | i | i | bVI bVII",
  ),
  "island": (
    "major: I | IV",
    "major: I | V | IV | V",
    "major: I IV | V IV",
    "major: I | ii | V | I",
    "minor: i | iv",
    "minor: i | bVII | bVI | v",
    "dorian: i | ii",
  ),
  "folk": (
    "major: I | IV | I | V",
    "major: I | I | V | V | V | V | I | I",
    "major: I vi | IV V",
    "major: vi | V | IV | V",
    "mixolydian: I | I | bVII | IV",
    "dorian: i | bVII | i | bVII",
    "dorian: i | IV | bVII | i",
    "minor: i | bVII | bVI | v",
  ),
  "still": (
    "lydian: Imaj7 | II",
    "lydian: Imaj9 | Imaj9 | iii7 | iii7",
    "major: Iadd9 | Iadd9 | IVmaj7 | IVmaj7",
    "major: Isus2 | vi7 | IVadd9 | Isus2",
    "dorian: i9 | i9 | IVadd9 | bVIImaj7",
    "minor: iadd9 | bVImaj7 | bIIImaj7 | bVIIsus4",
    "mixolydian: Iadd9 | bVIImaj7",
  ),
}

_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
_NUMERAL = re.compile(r"([b#]?)([IV]+|[iv]+)(.*)")
# Intervals above the root by suffix: (upper case numeral, lower case numeral).
_QUALITIES = {
  "": ((0, 4, 7), (0, 3, 7)),
  "7": ((0, 4, 7, 10), (0, 3, 7, 10)),
  "maj7": ((0, 4, 7, 11), (0, 3, 7, 11)),
  "6": ((0, 4, 7, 9), (0, 3, 7, 9)),
  "9": ((0, 4, 7, 10, 14), (0, 3, 7, 10, 14)),
  "maj9": ((0, 4, 7, 11, 14), (0, 3, 7, 11, 14)),
  "add9": ((0, 4, 7, 14), (0, 3, 7, 14)),
  "sus2": ((0, 2, 7), (0, 2, 7)),
  "sus4": ((0, 5, 7), (0, 5, 7)),
  "dim7": ((0, 3, 6, 9), (0, 3, 6, 9)),
  "m7b5": ((0, 3, 6, 10), (0, 3, 6, 10)),
}


@dataclasses.dataclass(frozen=True)
class Harmony:
  """A chord: root pitch class, intervals above it, name ("Ebmaj7")."""

  root: int
  intervals: tuple[int, ...]
  label: str

  @property
  def pitch_classes(self) -> tuple[int, ...]:
    """Root first, each 0 (C) to 11."""
    return tuple((self.root + step) % 12 for step in self.intervals)


def parse_chord(numeral: str, tonic: int, mode: str, sevenths: bool) -> Harmony:
  """Return the chord of a Roman numeral in a key.

  Args:
    numeral: such as "bVII", "ii7" or "Imaj7".
    tonic: pitch class of the key, 0 (C) to 11.
    mode: one of `MODES`.
    sevenths: whether to add the mode's seventh to plain triads.

  Raises:
    ValueError: not a numeral of this notation.
  """
  match = _NUMERAL.fullmatch(numeral)
  if not match or match[2].upper() not in _DEGREES:
    raise ValueError(f"{numeral!r} is not a chord like 'bVII', 'ii7', 'Imaj7'")
  accidental, degree, suffix = match.groups()
  if suffix not in _QUALITIES:
    raise ValueError(f"{numeral!r}: suffix is none of {list(_QUALITIES)}")
  minor = degree.islower()
  offset = {"": 0, "b": -1, "#": 1}[accidental] + _DEGREES[degree.upper()]
  if sevenths and not suffix:
    natural = (offset + 11) % 12 in MODES[mode] and not minor
    suffix = "maj7" if natural else "7"
  quality = suffix if suffix in ("dim7", "m7b5") else "m" * minor + suffix
  root = (tonic + offset) % 12
  return Harmony(root, _QUALITIES[suffix][minor], KEYS[root] + quality)


def parse_progression(
  progression: str, tonic: int, sevenths: bool
) -> list[list[Harmony]]:
  """Return the chords of each bar of a line of `PROGRESSIONS`."""
  mode, bars = progression.split(": ")
  return [
    [parse_chord(numeral, tonic, mode, sevenths) for numeral in bar.split()]
    for bar in bars.split("|")
  ]


def mode_of(progression: str) -> str:
  """Return the mode of a line of `PROGRESSIONS`."""
  return progression.split(":")[0]


def nearest(pitch_classes: Sequence[int], target: float) -> int:
  """Return the pitch of one of `pitch_classes` that is closest to `target`."""
  return min(
    (
      round((target - pitch_class) / 12) * 12 + pitch_class
      for pitch_class in pitch_classes
    ),
    key=lambda pitch: abs(pitch - target),
  )


def fold(pitch: int, low: int, high: int) -> int:
  """Move `pitch` by octaves into low..high, at least an octave apart."""
  while pitch < low:
    pitch += 12
  while pitch > high:
    pitch -= 12
  return pitch


def voice(
  chord: Harmony, previous: Sequence[int], center: int, voices: int
) -> tuple[int, ...]:
  """Return the close voicing nearest to the previous one.

  Of all inversions around `center` it is the one that moves every voice least
  and stays within about an octave of `center`.

  Args:
    chord: chord to voice.
    previous: pitches of the previous voicing; () starts at `center`.
    center: MIDI pitch.
    voices: greatest number of pitches.
  """
  tones = list(chord.pitch_classes)  # root first
  if len(tones) > voices and len(tones) > 3:
    # The fifth contributes least to the sound of a chord.
    tones.remove((chord.root + chord.intervals[2]) % 12)
  tones = tones[-voices:] if len(tones) > voices else tones

  # Every inversion below and around the center, its tones stacked closely.
  candidates = []
  for start, octave in itertools.product(range(len(tones)), (-12, 0)):
    rotated = tones[start:] + tones[:start]
    pitch = rotated[0] + 12 * ((center - rotated[0]) // 12) + octave
    stack = [pitch]
    for tone in rotated[1:]:
      stack.append(stack[-1] + (tone - stack[-1] - 1) % 12 + 1)
    candidates.append(tuple(stack))

  def cost(stack: tuple[int, ...]) -> float:
    away = abs(sum(stack) / len(stack) - center)
    if not previous:
      return away
    # Movement in semitones outweighs distance, up to half an octave away.
    moved = sum(min(abs(a - b) for b in previous) for a in stack)
    return moved + 0.4 * away + max(0.0, away - 6) * 4

  return min(candidates, key=cost)
