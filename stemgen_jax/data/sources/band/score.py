"""The ground truth of a song: what is played, when, over which chords."""

import dataclasses


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
    name: its role in the band, unique in the song ("bass", "comp").
    category: one of `categories.CATEGORIES`.
    program: General MIDI program from 0; for drums the kit's.
    is_drum: whether it plays on the drum channel.
    notes: what it plays, within 0..seconds of the song.
    ceiling: greatest sample value it may reach; the ceilings of a song's
      parts add up to less than 1, so that their sum cannot clip.
    timbre: picks one of several soundfonts (modulo their count).
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
  """All that is true of a song. Times in seconds, 0 is a downbeat.

  `tempo` counts beats per minute (dotted quarters in 6/8); `swing` is the
  share of a swung pair that its first note takes (0.5: straight);
  `progression` is the line of `harmony.PROGRESSIONS` section A is built on.
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
