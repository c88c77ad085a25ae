import struct

import game_music
import pytest


def test_midi_files_are_copied_out_of_a_wad(tmp_path):
  lumps = {b"D_E1M1": b"MThd 1", b"D_MUS": b"MUS\x1a", b"D_E1M10X": b"MThd two"}
  body, entries = b"", b""
  for name, content in lumps.items():
    entries += struct.pack("<II8s", 12 + len(body), len(content), name)
    body += content
  head = struct.pack("<4sII", b"IWAD", len(lumps), 12 + len(body))
  (tmp_path / "game.wad").write_bytes(head + body + entries)
  game_music.main(str(tmp_path / "game.wad"), str(tmp_path / "songs"))
  assert {x.name: x.read_bytes() for x in (tmp_path / "songs").iterdir()} == {
    "d_e1m1.mid": b"MThd 1",
    "d_e1m10x.mid": b"MThd two",
  }
  with pytest.raises(ValueError, match="not a WAD"):
    list(game_music.songs(b"PK\x03\x04"))
