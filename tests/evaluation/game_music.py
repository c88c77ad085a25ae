"""Human-written songs for evaluation, from games in Debian. Not shipped.

MIDI files of openttd-openmsx (GPL-2) are files already; those of freedoom (BSD)
are in a WAD, out of which this script copies them:

    apt-get download openttd-openmsx freedoom
    python tests/evaluation/game_music.py freedoom1.wad my_midi/test/freedoom1
"""

import pathlib
import struct
import sys
from collections.abc import Iterator

_ENTRY = struct.Struct("<II8s")  # offset, size and name of a lump


def songs(wad: bytes) -> Iterator[tuple[str, bytes]]:
  """Yield names and contents of a WAD's lumps that are MIDI files.

  Raises:
    ValueError: it is not a WAD.
  """
  if wad[:4] not in (b"IWAD", b"PWAD"):
    raise ValueError("not a WAD: expected it to begin with IWAD or PWAD")
  count, directory = struct.unpack_from("<II", wad, 4)
  for index in range(count):
    at = directory + _ENTRY.size * index
    offset, size, name = _ENTRY.unpack_from(wad, at)
    content = wad[offset : offset + size]
    if content[:4] == b"MThd":
      yield name.rstrip(b"\0").decode("ascii").lower(), content


def main(wad: str, folder: str) -> None:
  """Copy the MIDI files of a WAD into a folder."""
  pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
  for name, content in songs(pathlib.Path(wad).read_bytes()):
    pathlib.Path(folder, f"{name}.mid").write_bytes(content)


if __name__ == "__main__":
  main(*sys.argv[1:])
