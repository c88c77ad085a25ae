"""What every source of songs hands out: stems that are read when needed."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Protocol

from stemgen_jax.audio import Audio

SPLITS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True)
class Stem:
  """One instrument of a song.

  Attributes:
    name: what the source calls it, unique in its song ("bass", "S03").
    category: one of `categories.CATEGORIES`.
    read: gives its audio, within -1..1. Stems of a song may differ in rate,
      channels and length; all begin together, and their plain sum is the mix.
      Two calls give the same samples. Raises ValueError or OSError where a
      file is missing or damaged.
    target: whether it may be what the model learns to play. Every stem may be
      heard.
    files: those that `read` reads; () where it is rendered.
    role: one of `categories.ROLES`; "" where nothing says it.
  """

  name: str
  category: str
  read: Callable[[], Audio]
  target: bool = True
  files: tuple[pathlib.Path, ...] = ()
  role: str = ""


@dataclasses.dataclass(frozen=True)
class Problem:
  """Something about a song that its owner should know.

  Attributes:
    kind: two words, the same for all of its kind ("missing file").
    message: one line: what is wrong, with which file.
    stem: name of the stem it is about; "" is the song.
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
    id: unique in its source.
    split: one of `SPLITS`.
    genre: one of `categories.GENRES`.
    stems: those that can be had; without any the song is left out.
    problems: what was found wrong while the song was listed.
  """

  id: str
  split: str
  genre: str
  stems: tuple[Stem, ...]
  problems: tuple[Problem, ...] = ()

  @property
  def files(self) -> tuple[pathlib.Path, ...]:
    """Those that all of its stems are read from."""
    return tuple(file for stem in self.stems for file in stem.files)

  def made_of(self) -> str:
    """What its codes depend on, without reading audio: JSON, to be compared.

    Genre, and of each stem the name, category, role, whether it may be played,
    and its files with their sizes. "" for a song that has no files.
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


def _size(file: pathlib.Path) -> int:
  try:
    return file.stat().st_size
  except OSError:
    return -1  # gone since it was listed


class Songs(Protocol):
  """A source of songs. Listing is cheap: audio is made by `Stem.read`.

  One that reads files refuses, when it is made, a folder that is not laid out
  as it expects; songs that are bad are listed with their problems.
  """

  @property
  def name(self) -> str:
    """What to call this set of songs."""
    ...

  def songs(self) -> Iterator[Song]:
    """All songs of all splits, the same ones in the same order each time."""
    ...
