"""The folder of a session: session.json and the audio of every clip.

Audio files are written once and never change. session.json is replaced in one
step, after the files that it names: a process that is killed at any moment
leaves either the session before an operation or the one after it.
"""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

from stemgen_jax import disk, recipes
from stemgen_jax.session.clip_files import SUFFIXES
from stemgen_jax.session.song import Song

FORMAT = 1
FILE = "session.json"
AUDIO = "audio"
_MOST_UNDO = 100
_FIX = "restore the folder from a copy, or start a new session"


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
  """The song, the songs before it, and those that were undone.

  Attributes:
    song: the present song.
    before: earlier songs, latest last; at most 100.
    undone: songs that were undone, latest last.
    next_clip: number of the next clip.
  """

  song: Song
  before: tuple[Song, ...] = ()
  undone: tuple[Song, ...] = ()
  next_clip: int = 1

  def then(self, song: Song) -> "History":
    """Return the history with a next song."""
    before = (*self.before, self.song)[-_MOST_UNDO:]
    return dataclasses.replace(self, song=song, before=before, undone=())

  def undo(self) -> "History":
    """Return the history before the last operation.

    Raises:
      ValueError: there is none.
    """
    if not self.before:
      raise ValueError("nothing to undo: the session is as it was started")
    return dataclasses.replace(
      self,
      song=self.before[-1],
      before=self.before[:-1],
      undone=(*self.undone, self.song),
    )

  def redo(self) -> "History":
    """Return the history before the last undo; ValueError without one."""
    if not self.undone:
      raise ValueError("nothing to redo: no operation was undone since")
    return dataclasses.replace(
      self,
      song=self.undone[-1],
      before=(*self.before, self.song),
      undone=self.undone[:-1],
    )

  def songs(self) -> Iterator[Song]:
    """Return all songs that can be reached by undo and redo."""
    yield from (*self.before, self.song, *self.undone)


def exists(folder: pathlib.Path) -> bool:
  """Return whether a folder has a session."""
  return (folder / FILE).is_file()


def write(folder: pathlib.Path, history: History) -> None:
  """Replace session.json in one step."""
  disk.write_json(folder / FILE, {"format": FORMAT, **recipes.as_json(history)})


def read(folder: pathlib.Path) -> History:
  """Read session.json.

  Raises:
    FileNotFoundError: the folder has no session.
    ValueError: the file is corrupt, of a later version, or names a file outside
      of the session or one that is missing.
  """
  path = folder / FILE
  if not path.is_file():
    raise FileNotFoundError(f"{folder}: no session here (no {FILE})")
  fields: dict[str, Any] = disk.read_json(path, _FIX)
  if fields.pop("format", None) != FORMAT:
    raise ValueError(
      f"{path} has another format than {FORMAT}: a later version of "
      "stemgen-jax wrote it; use that version"
    )
  try:
    history = recipes.build(History, fields)
    for song in history.songs():
      song.validate(history.next_clip)
    files = _files(history)
  except (ValueError, TypeError) as error:
    raise ValueError(f"{path} is corrupt ({error}): {_FIX}") from error
  for name in files:
    if pathlib.PurePath(name).name != name or name.startswith("."):
      raise ValueError(f"{path} names {name!r}, not a file of {AUDIO}/: {_FIX}")
    if not (folder / AUDIO / name).is_file():
      raise ValueError(f"{folder / AUDIO / name} is missing: {_FIX}")
  return history


def start(folder: pathlib.Path, history: History) -> History:
  """Make the folder of a new session.

  Raises:
    FileExistsError: the folder has a session or other files.
  """
  check_new(folder)
  (folder / AUDIO).mkdir(parents=True, exist_ok=True)
  clean(folder, history)
  write(folder, history)
  return history


def check_new(folder: pathlib.Path) -> None:
  """Raise FileExistsError if a folder has a session or other files."""
  if (folder / FILE).exists():
    raise FileExistsError(f"{folder} has a session: name a new folder")
  # A process that was killed at the start may have left the folder of clips.
  if any(path.name != AUDIO for path in folder.glob("[!.]*")):
    raise FileExistsError(f"{folder} has files: name a new folder")


def reopen(folder: pathlib.Path) -> History:
  """Return the history of a folder whose process may have been killed."""
  history = read(folder)
  clean(folder, history)
  return history


def clean(folder: pathlib.Path, history: History) -> None:
  """Delete the files of clips that no song of the history names."""
  stems = {pathlib.PurePath(name).stem for name in _files(history)}
  kept = {stem + suffix for stem in stems for suffix in SUFFIXES}
  for suffix in SUFFIXES:
    for path in (folder / AUDIO).glob(f"[0-9][0-9][0-9][0-9]*{suffix}"):
      if path.name not in kept:
        path.unlink()


def _files(history: History) -> set[str]:
  return {
    clip.file
    for song in history.songs()
    for layer in song.layers
    for clip in layer.clips
  }
