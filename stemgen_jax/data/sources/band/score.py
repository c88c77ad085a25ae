"""The score of a song: its notes, beats and chords, all exact."""

import dataclasses

from stemgen_jax.data.sources.band.rhythm import METERS


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
    name: one of `genre.PARTS`, unique in the song.
    category: one of `categories.CATEGORIES`.
    program: General MIDI program from 0; for drums that of the kit.
    is_drum: whether the part is on the drum channel.
    notes: notes within 0..seconds of the song.
    ceiling: greatest sample value; the ceilings of a song's parts add up to
      less than 1, so that their sum cannot clip.
    timbre: number that selects one of several soundfonts, modulo their count.
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
  """A complete song. Times are in seconds, and 0 is a downbeat.

  Attributes:
    genre: name of the genre.
    tempo: beats per minute; a beat is a dotted quarter in 6/8.
    meter: name of the meter.
    swing: share of a swung pair that its first note takes; 0.5 is straight.
    key: tonic, one of `harmony.KEYS`.
    mode: one of `harmony.MODES`.
    progression: line of `harmony.PROGRESSIONS` of the sections A.
    seconds: length.
    beats: times of the beats.
    downbeats: times of the first beats of bars.
    chords: chords in their order.
    parts: parts in the order of `genre.PARTS`.
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

  @property
  def sixteenth(self) -> float:
    """Length of a sixteenth in seconds, the step of the grid."""
    return 60 / self.tempo / METERS[self.meter].beat
