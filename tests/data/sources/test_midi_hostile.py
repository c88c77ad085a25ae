"""MIDI files that cannot be used, or that would take long to read."""

import struct
import time

import pytest

from stemgen_jax.data.sources import midi


def raw(*messages_of_track: bytes, division=480, kind=1) -> bytes:
  """The bytes of a file of one track, without any check."""
  track = b"".join(messages_of_track)
  head = struct.pack(">4sIHHH", b"MThd", 6, kind, 1, division)
  return head + struct.pack(">4sI", b"MTrk", len(track)) + track


NOTE = b"\x00\x90\x3c\x40\x60\x80\x3c\x40"
FAR = b"\xff\xff\xff\x7f"  # the greatest time of the standard
TEMPI = b"\x01\xff\x51\x03\x07\xa1\x20"
BROKEN = {
  "empty": (b"", "MThd"),
  "text": (b"RIFF but no music", "MThd"),
  "cut off": (raw(NOTE)[:-3], "EOFError"),
  "no notes": (raw(TEMPI), "no notes"),
  "format": (raw(NOTE, kind=7), "format 7"),
  "division": (raw(NOTE, division=0), "time division"),
  "frames": (raw(NOTE, division=0x8101), "time division"),
  "status": (raw(b"\x00\x3c\x40"), "running status"),
  "10 hours": (raw(NOTE, FAR + NOTE[1:]), "279622 s long"),
  "endless number": (raw(b"\x00\xf0" + b"\xff" * 500_000), "thousands"),
  "large": (raw(*[NOTE] * 300_000), "2400022 bytes"),
  "ticks": (raw(*[FAR + NOTE[1:]] * 5000), "ticks"),
  "crowd": (
    raw(
      *(
        bytes([1, 0xC0 + c, p, 1, 0x90 + c, 60, 64])
        for c in range(16)
        for p in range(128)
      ),
      b"\x9d\x00\x80\x3c\x40",
    ),
    "2048 instruments",
  ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unusable_files_are_one_line_each(name, tmp_path):
  content, reason = BROKEN[name]
  (tmp_path / "song.mid").write_bytes(content)
  begin = time.process_time()
  (song,) = midi.Midi(str(tmp_path)).songs()
  assert time.process_time() - begin < 5
  (problem,) = song.problems
  assert not song.stems
  assert problem.left_out
  assert problem.message.startswith("song.mid: ")
  assert reason in problem.message
  assert len(problem.message.splitlines()) == 1
  assert len(problem.message) < 300


def test_hostile_files_are_read_in_bounded_time(tmp_path):
  # Tempo, meter and pedal change at nearly every byte.
  meter = b"\x00\xff\x58\x04\x01\xff\x18\x08"  # of 2 ** 255ths
  pedal = b"\x00\xb0\x40\x7f\x00\xb0\x40\x00"
  held = b"\x00\xb0\x40\x7f" + b"\x00\x90\x3c\x40\x00\x80\x3c\x40" * 3000
  fast = b"\x00\xff\x51\x03\x00\x00\x00"
  for change in (TEMPI, meter, pedal, held, fast + FAR + b"\xff\x01\x00"):
    content = raw(NOTE, *[change] * (100_000 // len(change)), NOTE)
    (tmp_path / "song.mid").write_bytes(content)
    begin = time.process_time()
    (song,) = midi.Midi(str(tmp_path)).songs()
    assert time.process_time() - begin < 8
    assert len(song.problems) + len(song.stems) == 1
    for problem in song.problems:
      assert len(problem.message) < 300
