"""What every source of songs hands out: stems that are read when needed."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from jaxtyping import Float

SPLITS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True)
class Stem:
  """One instrument of a song.

  Attributes:
    name: what the source calls it, unique in its song ("bass", "S03").
    category: one of `categories.CATEGORIES`.
    read: gives its audio, float32 [samples, channels] within -1..1. All stems
      of a song have the same length and rate, and their plain sum is the mix.
      Two calls give the same samples.
  """

  name: str
  category: str
  read: Callable[[], Float[np.ndarray, "samples channels"]]


@dataclasses.dataclass(frozen=True)
class Song:
  """One song: `id` is unique in its source, `split` one of `SPLITS`,
  `genre` one of `categories.GENRES`, `sample_rate` in Hz."""

  id: str
  split: str
  genre: str
  sample_rate: int
  stems: tuple[Stem, ...]


class Songs(Protocol):
  """A source of songs. Listing is cheap: audio is made by `Stem.read`."""

  @property
  def name(self) -> str:
    """What to call this set of songs."""
    ...

  def songs(self) -> Iterator[Song]:
    """All songs of all splits, the same ones in the same order each time."""
    ...
