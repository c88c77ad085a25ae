"""Read the messages of a MIDI file of any origin, in bounded time."""

import io
import os
import pathlib
import re
from typing import Any, NamedTuple

MOST_BYTES = 2_000_000  # at most 700,000 messages, 15 s of reading
_HEADER = b"MThd"
_HEAD_BYTES = 1024  # a RIFF or MacBinary header comes first in some files
# Lengths and times have at most 4 bytes. The time to read a longer one is the
# square of its length, so nothing may have very many bytes above 127 in a row.
_ENDLESS = re.compile(rb"[\x80-\xff]{4096}")
_MOST_TICKS = 1 << 40
_FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}


class Message(NamedTuple):
  """A message of any track: time in ticks, MIDI port, mido's message."""

  tick: int
  port: int
  content: Any


class Messages(NamedTuple):
  """The messages of a file.

  Attributes:
    found: messages of all tracks in order of time.
    ticks_per_beat: ticks of a quarter note; None with SMPTE time.
    ticks_per_second: ticks of a second with SMPTE time, else None.
  """

  found: list[Message]
  ticks_per_beat: int | None
  ticks_per_second: float | None


def read(path: pathlib.Path) -> Messages:
  """Read a MIDI file of format 0, 1 or 2.

  The tracks of format 2 are independent sequences, which follow each other.

  Raises:
    ValueError: it is not a MIDI file, is corrupt or too large.
    OSError: it cannot be read.
  """
  import mido  # an extra of setup.py

  if not path.is_file():
    raise FileNotFoundError("no such file, or not a regular one")
  if (size := os.stat(path).st_size) > MOST_BYTES:
    raise ValueError(f"{size} bytes: expected at most {MOST_BYTES}")
  content = path.read_bytes()
  if (start := content.find(_HEADER, 0, _HEAD_BYTES)) < 0:
    raise ValueError("no MIDI file: expected it to begin with MThd")
  if _ENDLESS.search(content):
    raise ValueError(
      "corrupt: thousands of bytes above 127 in a row; expected numbers of at "
      "most 4 bytes"
    )
  try:
    # Bytes above 127 are taken as 127, as other programs do.
    file = mido.MidiFile(file=io.BytesIO(content[start:]), clip=True)
  except Exception as error:  # mido raises errors of many types
    reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
    raise ValueError(f"corrupt: {reason}") from error
  if file.type not in (0, 1, 2):
    raise ValueError(f"corrupt: format {file.type}, expected 0, 1 or 2")
  found, begin = [], 0
  for track in file.tracks:
    tick, port = begin if file.type == 2 else 0, 0
    for message in track:
      tick += message.time
      if tick > _MOST_TICKS:
        raise ValueError(f"corrupt: it lasts more than {_MOST_TICKS} ticks")
      if message.type == "midi_port":
        port = message.port
      found.append(Message(tick, port, message))
    begin = tick
  # Programs first: another track may hold the notes that they are for.
  found.sort(key=lambda one: (one.tick, one.content.type != "program_change"))
  return Messages(found, *_resolution(file.ticks_per_beat))


def _resolution(division: int) -> tuple[int | None, float | None]:
  """Return ticks per beat, or ticks per second of SMPTE time."""
  if division > 0:
    return division, None
  frames, ticks = -(division >> 8), division & 0xFF
  if frames not in _FRAME_RATES or not ticks:
    raise ValueError(f"corrupt: time division {division:#06x}")
  return None, _FRAME_RATES[frames] * ticks
