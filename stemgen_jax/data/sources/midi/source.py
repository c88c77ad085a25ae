"""A folder of MIDI files: a song per file, a rendered stem per instrument.

    my_midi/song.mid, my_midi/album/other.kar, my_midi/test/third.midi

This is how Slakh2100 was made of the Lakh MIDI data set.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterator

from stemgen_jax.audio import Audio
from stemgen_jax.data.songs import Problem, Song, Stem
from stemgen_jax.data.sources import multitracks, soundfont, stems_table
from stemgen_jax.data.sources.midi import performance
from stemgen_jax.data.sources.midi.score import Score, read

SUFFIXES = (".mid", ".midi", ".kar")


@dataclasses.dataclass(frozen=True)
class Midi:
  """MIDI files in a folder, at any depth: a `songs.Songs`.

  The id of a song is its path. It seeds all draws of its performance. The split
  is that of a folder train/, valid/ or test/ in `root`; otherwise it follows
  from the id, with a tenth each for valid and test. Links to folders are not
  followed, which is reported.

  Attributes:
    root: the folder.
    soundfonts: paths of .sf2/.sf3 files, one drawn for every song; () means
      the soundfont of pretty_midi.
    sample_rate: sample rate of the rendered stereo stems in Hz.
    name: name of the data set.

  Raises:
    ValueError: the folder holds no MIDI files, or a file is not a soundfont.
    FileNotFoundError, NotADirectoryError: no such folder or soundfont.
  """

  root: str
  soundfonts: tuple[str, ...] = ()
  sample_rate: int = 48_000
  name: str = "midi"

  def __post_init__(self):
    root = multitracks.check_root(self.root, "MIDI files")
    for path in self.soundfonts:
      soundfont.check(path)
    if not any(path.suffix.lower() in SUFFIXES for path in _walk(root)):
      raise ValueError(
        f"--root={self.root} holds no MIDI files: expected "
        f"{', '.join(SUFFIXES)} in it, at any depth"
      )

  def songs(self) -> Iterator[Song]:
    """Yield all songs by path."""
    for path in _walk(pathlib.Path(self.root)):
      yield self.song(path)

  def song(self, path: pathlib.Path) -> Song:
    """Return the song of a file in `root`."""
    within = path.relative_to(self.root)
    # Names of other encodings are not valid Unicode.
    song_id = within.as_posix().encode(errors="backslashreplace").decode()
    folders = [name.lower() for name in within.parts[:-1]]
    split = stems_table.SPLIT_NAMES.get("".join(folders[:1]))
    split = split or multitracks.split_of(song_id)
    song = functools.partial(Song, song_id, split, "other")
    if path.is_dir():
      kind = "linked folder" if path.is_symlink() else "unreadable folder"
      return song((), (Problem(kind, f"{song_id}: its files are left out"),))
    try:
      score = read(path)
    except (ValueError, OSError) as error:
      reason = getattr(error, "strerror", None) or error
      return song((), (Problem("unusable file", f"{song_id}: {reason}"),))
    stems = tuple(
      Stem(
        part.name,
        part.category,
        # Refers to the file: listed songs would otherwise hold all notes.
        functools.partial(_render, self, path, song_id, index),
        files=(path,),
      )
      for index, part in enumerate(score.parts)
    )
    return song(
      stems, seconds=score.seconds, score=functools.partial(read, path)
    )


@dataclasses.dataclass(frozen=True)
class StereoMidi(Midi):
  """The same songs with the width and the room of a `stage`.

  A separate class, because recipes of mono sets have no field `channels`.

  Attributes:
    channels: channels of the stems, always 2.
  """

  channels: int = 2


def _walk(root: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield MIDI files, links to folders and unreadable ones, not hidden."""
  for folder, inner, files in os.walk(root):
    inner[:] = sorted(x for x in inner if not multitracks.is_hidden(x))
    here = pathlib.Path(folder)
    for name in inner:
      if (here / name).is_symlink() or not os.access(here / name, os.R_OK):
        yield here / name
    for name in sorted(files):
      if name[0] != "." and pathlib.Path(name).suffix.lower() in SUFFIXES:
        yield here / name


@functools.lru_cache(maxsize=2)
def _read(path: pathlib.Path, changed: int) -> Score:
  return read(path)


def _render(midi: Midi, path: pathlib.Path, song_id: str, index: int) -> Audio:
  score = _read(path, path.stat().st_mtime_ns)
  if index >= len(score.parts):
    raise ValueError(f"{path} has changed since it was listed")
  samples = performance.render(
    score,
    score.parts[index],
    song_id,
    performance.choose_soundfont(song_id, midi.soundfonts),
    midi.sample_rate,
    on_stage=isinstance(midi, StereoMidi),
  )
  return Audio(samples, midi.sample_rate)
