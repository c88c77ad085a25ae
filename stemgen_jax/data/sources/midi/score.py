"""Turn a MIDI file into a score: notes, tempo, beats, keys and chords."""

import bisect
import collections
import dataclasses
import math
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from stemgen_jax import categories
from stemgen_jax.data.sources.band.score import Chord, Note
from stemgen_jax.data.sources.midi import chord_symbols, clock, messages

LONGEST = 1800.0  # seconds of a song
MOST = 4 * 3600.0  # seconds of all stems, which are in memory together
MOST_PARTS = 128
TAIL = 2.0  # seconds after the last note
_DRUMS = 9  # General MIDI's channel of the drum kit, from 0
VOLUME, EXPRESSION = 7, 11  # controllers
DEFAULTS = {VOLUME: 100, EXPRESSION: 127}  # as General MIDI recommends
_SHORTEST = 0.03  # seconds of a note
_HANGING = 4.0  # seconds of a note that is never released, at most
_CENTER = 64


@dataclasses.dataclass(frozen=True)
class Part:
  """One instrument: the notes of one program on one channel.

  Attributes:
    name: channel and program, "ch02_p033", unique in the song.
    category: one of `categories.CATEGORIES`.
    program: General MIDI program from 0; for drums that of the kit.
    is_drum: whether it is on the drum channel.
    notes: notes in order of their start; the sustain pedal makes them longer.
    controls: (seconds, controller, value) of volume and expression.
    bends: (seconds, semitones).
    pan: -1 (left) to 1, or None if the file has none.
    level_db: mean level of the notes by velocity, volume and expression.
  """

  name: str
  category: str
  program: int
  is_drum: bool
  notes: tuple[Note, ...]
  controls: tuple[tuple[float, int, int], ...]
  bends: tuple[tuple[float, float], ...]
  pan: float | None
  level_db: float


@dataclasses.dataclass(frozen=True)
class Score:
  """A song as its file states it. Times are in seconds from its beginning.

  Attributes:
    seconds: length, with the decay of the last note.
    tempos: (time, quarter notes per minute); () with SMPTE time.
    meters: (time, meter); 4/4 where the file has none.
    beats: times of the beats; () if they are unknown.
    downbeats: times of the first beats of bars.
    keys: (time, key), as "A minor"; () if the file states none.
    chords: chords of its markers; () if it has none.
    parts: instruments by channel and program.
  """

  seconds: float
  tempos: tuple[tuple[float, float], ...]
  meters: tuple[tuple[float, clock.Meter], ...]
  beats: tuple[float, ...]
  downbeats: tuple[float, ...]
  keys: tuple[tuple[float, str], ...]
  chords: tuple[Chord, ...]
  parts: tuple[Part, ...]


@dataclasses.dataclass
class _Struck:
  """A note in ticks; it hangs until key and pedal have released it."""

  start: int
  pitch: int
  velocity: int
  level_db: float
  end: int = 0
  hangs: bool = True


@dataclasses.dataclass
class _Channel:
  """State of a channel, and its events (tick, ...) so far."""

  program: int = 0
  volume: int = DEFAULTS[VOLUME]
  expression: int = DEFAULTS[EXPRESSION]
  pedal: bool = False
  wheel: int = 0  # -8192 to 8191
  bend_range: float = 2.0  # semitones
  parameter: dict[int, int] = dataclasses.field(default_factory=dict)
  # Pitch -> notes whose key is down, and notes that only the pedal holds.
  sounding: dict[int, collections.deque[_Struck]] = dataclasses.field(
    default_factory=lambda: collections.defaultdict(collections.deque)
  )
  held: dict[int, list[_Struck]] = dataclasses.field(default_factory=dict)
  controls: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)
  bends: list[tuple[int, float]] = dataclasses.field(default_factory=list)
  pans: list[tuple[int, int]] = dataclasses.field(default_factory=list)

  def strike(self, tick: int, pitch: int, velocity: int) -> _Struck:
    """Start a note; one of the same pitch that only the pedal holds ends."""
    self._let_go(tick, [pitch])
    # The renderer's amplitude is the cube of a controller.
    gain = (self.volume * self.expression / 127**2) ** 3 * velocity / 127
    note = _Struck(tick, pitch, velocity, 20 * math.log10(max(gain, 1e-6)))
    self.sounding[pitch].append(note)
    return note

  def release(self, tick: int, pitch: int) -> None:
    """Release the oldest key of a pitch; the pedal may hold its note."""
    if self.sounding[pitch]:
      note = self.sounding[pitch].popleft()
      note.end = tick
      note.hangs = self.pedal
      if self.pedal:
        self.held.setdefault(pitch, []).append(note)

  def _let_go(self, tick: int, pitches: Iterable[int]) -> None:
    for pitch in pitches:
      for note in self.held.pop(pitch, ()):
        note.end = tick
        note.hangs = False

  def control(self, tick: int, number: int, value: int) -> None:
    """Change a controller."""
    match number:
      case 7:  # volume
        self.volume = value
        self.controls.append((tick, number, value))
      case 11:  # expression
        self.expression = value
        self.controls.append((tick, number, value))
      case 10:  # pan
        self.pans.append((tick, value))
      case 64:  # sustain pedal
        self.pedal = value >= 64
        if not self.pedal:
          self._let_go(tick, list(self.held))
      case 98 | 99:  # non-registered parameter
        self.parameter = {}
      case 100 | 101:  # registered parameter
        self.parameter[number] = value
      case 6 if self.parameter == {101: 0, 100: 0}:  # range of pitch bend
        self.bend_range = float(value)
        self.bend(tick, self.wheel)
      case 120 | 123:  # all notes off
        for pitch in list(self.sounding):
          while self.sounding[pitch]:
            self.release(tick, pitch)
      case 121:  # reset
        self.control(tick, 64, 0)
        self.control(tick, EXPRESSION, DEFAULTS[EXPRESSION])
        self.bend(tick, 0)

  def bend(self, tick: int, wheel: int) -> None:
    """Move the pitch wheel."""
    self.wheel = wheel
    self.bends.append((tick, self.bend_range * wheel / 8192))


_Key = tuple[int, int, int]  # port, channel, program


def read(path: str | pathlib.Path) -> Score:
  """Read the score of a MIDI file.

  Tracks of one channel and program are one part, and a channel whose program
  changes is several. A note that is never released ends after at most 4 s, and
  1 s after the last note of the song.

  Raises:
    ValueError: it is not a MIDI file, is corrupt, too long or without notes.
    OSError: it cannot be read.
  """
  found, per_beat, per_second = messages.read(pathlib.Path(path))
  channels: dict[tuple[int, int], _Channel] = {}
  parts: dict[_Key, list[_Struck]] = {}
  stated = collections.defaultdict(list)  # type -> (tick, message)
  last = 0
  for tick, port, message in found:
    if message.is_meta or not hasattr(message, "channel"):
      stated[message.type].append((tick, message))
      continue
    channel = channels.setdefault((port, message.channel), _Channel())
    match message.type:
      case "note_on" if message.velocity:
        note = channel.strike(tick, message.note, message.velocity)
        key = (port, message.channel, channel.program)
        parts.setdefault(key, []).append(note)
        last = tick
      case "note_on" | "note_off":
        channel.release(tick, message.note)
        last = tick
      case "program_change":
        channel.program = message.program
      case "control_change":
        channel.control(tick, message.control, message.value)
      case "pitchwheel":
        channel.bend(tick, message.pitch)
  if not parts:
    raise ValueError("no notes")
  tempos = [(tick, one.tempo) for tick, one in stated["set_tempo"]]
  times = clock.make(tempos, per_beat, per_second)
  end = float(times.at([last])[0])
  _check_length(end + TAIL, len(parts))
  # Once per channel: its parts share them, in memory too.
  events = {
    place: _Events(
      _timed(times, channel.controls), _timed(times, channel.bends)
    )
    for place, channel in channels.items()
  }
  built = tuple(
    _part(key, notes, channels[key[:2]], events[key[:2]], times, end)
    for key, notes in sorted(parts.items())
  )
  seconds = max(note.end for part in built for note in part.notes) + TAIL
  return _score(stated, times, per_beat, last, seconds, built)


def _check_length(seconds: float, parts: int) -> None:
  if not seconds <= LONGEST:
    raise ValueError(
      f"{seconds:.0f} s long: expected at most {LONGEST:.0f} s; cut it"
    )
  if parts > MOST_PARTS or seconds * parts > MOST:
    raise ValueError(
      f"{parts} instruments of {seconds:.0f} s: expected at most {MOST_PARTS}, "
      f"and {MOST:.0f} s in all; leave some out"
    )


class _Events(NamedTuple):
  """See `Part.controls` and `Part.bends`."""

  controls: tuple[tuple[float, int, int], ...]
  bends: tuple[tuple[float, float], ...]


def _timed(times: clock.Clock, found: list[tuple]) -> tuple[tuple, ...]:
  """Return events with their first item, ticks, in seconds."""
  seconds = times.at([tick for tick, *_ in found]).tolist()
  return tuple((time, *rest) for time, (_, *rest) in zip(seconds, found))


def _part(
  key: _Key,
  struck: list[_Struck],
  channel: _Channel,
  events: _Events,
  times: clock.Clock,
  end: float,
) -> Part:
  port, number, program = key
  is_drum = number == _DRUMS
  starts = times.at([note.start for note in struck])
  ends = times.at([note.end for note in struck])
  hanging = np.minimum(starts + _HANGING, end + 1.0)
  hangs = np.array([note.hangs for note in struck])
  ends = np.where(hangs, np.maximum(ends, hanging), ends)
  ends = np.maximum(ends, starts + _SHORTEST)
  # The value at the first note, or the first of the song.
  at = bisect.bisect(channel.pans, (struck[0].start, 128))
  pan = channel.pans[max(at - 1, 0)][1] if channel.pans else None
  where = f"port{port}_" * bool(port) + f"ch{number + 1:02d}"
  return Part(
    name=f"{where}_{'kit' if is_drum else 'p'}{program:03d}",
    category=categories.category_of_program(program, is_drum),
    program=program,
    is_drum=is_drum,
    notes=tuple(
      Note(start, stop, note.pitch, note.velocity)
      for note, start, stop in zip(struck, starts.tolist(), ends.tolist())
    ),
    controls=events.controls,
    bends=events.bends,
    pan=None if pan is None else max((pan - _CENTER) / (_CENTER - 1), -1.0),
    level_db=float(np.mean([note.level_db for note in struck])),
  )


def _score(
  stated: dict[str, list[tuple[int, Any]]],
  times: clock.Clock,
  ticks_per_beat: int | None,
  last: int,
  seconds: float,
  parts: tuple[Part, ...],
) -> Score:
  """Return the score from the messages that are not of a channel."""

  def second(tick: int) -> float:
    return float(times.at([tick])[0])

  meters = {0: (4, 4)}  # the standard's, where none is set
  for tick, one in stated["time_signature"]:
    meter = (one.numerator, one.denominator)
    if clock.is_meter(meter) and tick <= last:
      meters[tick] = meter  # the last one of a tick counts
  beats, downbeats = clock.beats(
    times, list(meters.items()), ticks_per_beat, last
  )
  tempos = zip(times.seconds.tolist(), times.rates.tolist())
  markers = [(second(tick), one.text) for tick, one in stated["marker"]]
  return Score(
    seconds=seconds,
    tempos=tuple(
      (time, 60 / (rate * ticks_per_beat) if rate else math.inf)
      for time, rate in tempos
      if ticks_per_beat
    ),
    meters=tuple((second(tick), meter) for tick, meter in meters.items()),
    beats=beats,
    downbeats=downbeats,
    keys=tuple(
      (second(tick), _key_name(one.key))
      for tick, one in stated["key_signature"]
    ),
    chords=chord_symbols.chords(markers, seconds),
    parts=parts,
  )


def _key_name(key: str) -> str:
  """Return "A minor" for "Am", in a spelling that mir_eval knows."""
  tonic = key.removesuffix("m").replace("Cb", "B")
  return f"{tonic} {'minor' if key.endswith('m') else 'major'}"
