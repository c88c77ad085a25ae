"""Songs, their stems and problems, and the interface of their sources."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio import Audio

SPLITS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True)
class Stem:
  """One instrument of a song.

  Attributes:
    name: name in the source, unique in its song ("bass", "S03").
    category: one of `categories.CATEGORIES`.
    read: returns the audio, within -1..1, the same at every call. Stems of a
      song may differ in rate, channels and length; all begin together, or at
      their time references, and their plain sum is the mix. Raises ValueError
      or OSError if a file is missing or corrupt.
    target: whether the stem may be a target; every stem may be in a context.
    files: files that `read` reads; () if the stem is rendered.
    role: one of `categories.ROLES`; "" if it is unknown.
    notes: returns the start and end in seconds and the MIDI pitch of every
      note, float [notes, 3]; None if they are unknown, or have no pitch.
  """

  name: str
  category: str
  read: Callable[[], Audio]
  target: bool = True
  files: tuple[pathlib.Path, ...] = ()
  role: str = ""
  notes: Callable[[], Float[np.ndarray, "notes 3"]] | None = None

  def __post_init__(self) -> None:
    object.__setattr__(self, "name", _in_utf8(self.name))


@dataclasses.dataclass(frozen=True)
class Problem:
  """A problem of a song that its owner should know about.

  Attributes:
    kind: two words, shared by all problems of this kind ("missing file").
    message: one line that names the problem and the file.
    stem: name of the affected stem; "" means the whole song.
    left_out: whether that stem, or the song, cannot be used because of it.
  """

  kind: str
  message: str
  stem: str = ""
  left_out: bool = True


@dataclasses.dataclass(frozen=True)
class Song:
  """One song.

  Attributes:
    id: id, unique in its source.
    split: one of `SPLITS`.
    genre: one of `categories.GENRES`.
    stems: usable stems; a song without any is left out.
    problems: problems found while the song was listed.
    seconds: length, if it is known without reading audio.
    score: returns the score, if the source has one: a `midi.Score` or a
      `band.Score`.
    mixture: file of the published mixture, if the stems should sum to it.
  """

  id: str
  split: str
  genre: str
  stems: tuple[Stem, ...]
  problems: tuple[Problem, ...] = ()
  seconds: float | None = None
  score: Callable[[], Any] | None = None
  mixture: pathlib.Path | None = None

  def __post_init__(self) -> None:
    object.__setattr__(self, "id", _in_utf8(self.id))

  @property
  def files(self) -> tuple[pathlib.Path, ...]:
    """Files of all stems."""
    return tuple(file for stem in self.stems for file in stem.files)

  @property
  def targets(self) -> tuple[str, ...]:
    """Names of the stems that may be targets."""
    return tuple(stem.name for stem in self.stems if stem.target)

  def with_targets(self, names: Collection[str]) -> "Song":
    """Return the song with these stems as its only targets."""
    stems = (
      dataclasses.replace(stem, target=stem.name in names)
      for stem in self.stems
    )
    return dataclasses.replace(self, stems=tuple(stems))

  def made_of(self) -> str:
    """Return a text that changes when the song does, without reading audio.

    It is JSON of the genre and of every stem's name, category, role, target,
    and files with their sizes; "" for a song without files.
    """
    if not self.files:
      return ""
    stems = [
      (
        stem.name,
        stem.category,
        stem.role,
        stem.target,
        [(file.name, _size(file)) for file in stem.files],
      )
      for stem in self.stems
    ]
    return json.dumps([self.genre, stems])


def _in_utf8(name: str) -> str:
  r"""Replace bytes of a file name that are not UTF-8, as by \xff."""
  return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _size(file: pathlib.Path) -> int:
  try:
    return file.stat().st_size
  except OSError:
    return -1  # deleted since it was listed


@runtime_checkable
class Songs(Protocol):
  """A source of songs. Listing is cheap: only `Stem.read` reads audio.

  The constructor of a source that reads files refuses a folder with another
  layout. Unusable songs are listed with their problems.
  """

  @property
  def name(self) -> str:
    """Name of this set of songs."""
    ...

  def songs(self) -> Iterator[Song]:
    """Yield all songs of all splits, the same in every call."""
    ...
