"""A REAPER project, .rpp: a text file of nested blocks."""

import pathlib
import re

from stemgen_jax import disk
from stemgen_jax.session.export.tracks import Project, Track


def write(path: pathlib.Path, project: Project) -> None:
  """Write a .rpp file next to the wav files of its tracks."""
  disk.write_text(path, project_text(project))


def project_text(project: Project) -> str:
  """Return the project: tempo, master volume, and one item on each track."""
  lines = [
    '<REAPER_PROJECT 0.1 "6.0" 0',
    f"  TEMPO {project.bpm:.6f} 4 4",
    f"  SAMPLERATE {project.sample_rate} 1 0",
    f"  MASTER_VOLUME {project.mix_gain:.9f} 0 -1 -1 1",
    "  <NOTES 0 2",
    *(f"    |{line}" for line in project.comment.splitlines()),
    "  >",
  ]
  for track in project.tracks:
    lines += _track(track, project)
  return "\n".join([*lines, ">", ""])


def _track(track: Track, project: Project) -> list[str]:
  return [
    "  <TRACK",
    f"    NAME {_quoted(track.name)}",
    f"    PEAKCOL {_color(track.color)}",
    "    VOLPAN 1 0 -1 -1 1",
    f"    MUTESOLO {int(track.muted)} 0 0",
    "    <ITEM",
    "      POSITION 0",
    f"      LENGTH {project.seconds:.12f}",
    "      LOOP 0",
    f"      NAME {_quoted(track.name)}",
    "      <SOURCE WAVE",
    f"        FILE {_quoted(track.file)}",
    "      >",
    "    >",
    "  >",
  ]


def _quoted(text: str) -> str:
  """Return text in quotes; the format has no escapes, only three quotes."""
  text = re.sub(r"[\r\n]+", " ", text)
  for quote in "\"'`":
    if quote not in text:
      return f"{quote}{text}{quote}"
  return '"' + text.replace('"', "'") + '"'


def _color(color: str) -> int:
  red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
  # A custom color has bit 24 set; the order of the bytes is that of Windows.
  return 0x1000000 | blue << 16 | green << 8 | red
