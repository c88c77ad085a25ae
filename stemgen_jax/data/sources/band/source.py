"""The band as a source of songs."""

import dataclasses
import functools
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio import Audio
from stemgen_jax.data import songs
from stemgen_jax.data.sources.band.render import render, render_stereo
from stemgen_jax.data.sources.band.score import Part, Score
from stemgen_jax.data.sources.band.style import Style
from stemgen_jax.data.sources.band.writer import write

# Splits are ranges of song numbers, far apart, so that no number of songs moves
# a song from one split to another.
FIRST = {"train": 0, "valid": 800_000, "test": 900_000}
MOST = {"train": 800_000, "valid": 100_000, "test": 100_000}
_LONGEST = 3600.0  # seconds
# Player of the band -> one of `categories.ROLES`.
_ROLES = {
  "drums": "percussive",
  "percussion": "percussive",
  "bass": "bass",
  "comp": "harmonic",
  "pad": "harmonic",
  "arp": "harmonic",
  "lead": "melodic",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Band:
  """Songs written by the computer, in any number: a `songs.Songs`.

  Attributes:
    seed: seed of the songs; another seed gives other songs.
    train, valid, test: number of songs of each split.
    seconds: length of every song, 2 to 3600 seconds.
    sample_rate: sample rate of the rendered mono stems, 8000 to 192000 Hz.
    soundfonts: paths of .sf2/.sf3 files, one drawn for every part; () means
      the soundfont of pretty_midi.
    style: genres, keys, tempi and instruments to draw from.

  Raises:
    ValueError: a count, length or rate is out of range.
  """

  seed: int = 0
  train: int = 2000
  valid: int = 100
  test: int = 100
  seconds: float = 30.0
  sample_rate: int = 32000
  soundfonts: tuple[str, ...] = ()
  style: Style = dataclasses.field(default_factory=Style)

  def __post_init__(self):
    for split, most in MOST.items():
      if not 0 <= getattr(self, split) <= most:
        raise ValueError(
          f"{split} is {getattr(self, split)}, expected 0 to {most} songs"
        )
    if self.seed < 0:
      raise ValueError(f"seed is {self.seed}, expected 0 or more")
    if not 2 <= self.seconds <= _LONGEST:
      raise ValueError(f"seconds is {self.seconds}, expected 2 to {_LONGEST:g}")
    if not 8000 <= self.sample_rate <= 192_000:
      raise ValueError(
        f"sample_rate is {self.sample_rate}, expected 8000 to 192000 Hz"
      )

  @property
  def name(self) -> str:
    """Name with the seed, which begins every song's id: "band-0"."""
    return f"band-{self.seed}"

  def score(self, number: int) -> Score:
    """Return the score of song `number`: tempo, beats, chords, notes."""
    return _score(self, number)

  def reharmonized(self, number: int) -> Score:
    """Return the score of song `number` with other chords in the same key.

    Raises:
      LookupError: there is no other progression of its mode and length.
    """
    return write(self.seed, number, self.seconds, self.style, reharmonized=True)

  def numbers(self, split: str) -> range:
    """Return the numbers of the songs of a split."""
    return range(FIRST[split], FIRST[split] + getattr(self, split))

  def read(self, part: Part) -> Audio:
    """Render a part of a score in mono."""
    samples = render(part, self.seconds, self.sample_rate, self.soundfonts)
    return Audio(samples, self.sample_rate)

  def read_stem(self, number: int, index: int) -> Audio:
    """Render a stem of a song."""
    return self.read(_score(self, number).parts[index])

  def song(self, number: int) -> songs.Song:
    """Return song `number`; its stems are rendered when they are read."""
    split = max(
      (name for name in FIRST if FIRST[name] <= number),
      key=lambda name: FIRST[name],
    )
    score = self.score(number)
    return songs.Song(
      id=f"{self.name}-{number:06d}",
      split=split,
      genre=score.genre,
      stems=tuple(
        songs.Stem(
          part.name,
          part.category,
          # Refers to the score by number: thousands of listed songs would
          # otherwise hold all of their notes.
          functools.partial(self.read_stem, number, index),
          role=_ROLES[part.name],
          notes=None
          if part.is_drum
          else functools.partial(_notes, self, number, index),
        )
        for index, part in enumerate(score.parts)
      ),
      score=functools.partial(self.score, number),
    )

  def songs(self) -> Iterator[songs.Song]:
    """Yield all songs, split by split."""
    for split in FIRST:
      yield from map(self.song, self.numbers(split))


@dataclasses.dataclass(frozen=True, kw_only=True)
class StereoBand(Band):
  """The same songs in stereo, at places that are drawn for every song.

  A separate class, because recipes of mono sets have no field `channels`.

  Attributes:
    channels: channels of the stems, always 2.
  """

  sample_rate: int = 48_000
  channels: int = 2

  def read_stem(self, number: int, index: int) -> Audio:
    """Render a stem of a song."""
    samples = render_stereo(
      _score(self, number),
      index,
      (self.seed, number, zlib.crc32(b"stage")),
      self.seconds,
      self.sample_rate,
      self.soundfonts,
    )
    return Audio(samples, self.sample_rate)


@functools.lru_cache(maxsize=4)
def _score(band: Band, number: int) -> Score:
  return write(band.seed, number, band.seconds, band.style)


def _notes(band: Band, number: int, index: int) -> Float[np.ndarray, "notes 3"]:
  notes = _score(band, number).parts[index].notes
  return np.array([(n.start, n.end, n.pitch) for n in notes]).reshape(-1, 3)
