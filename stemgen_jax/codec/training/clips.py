"""The audio a codec trains on: rendered once, then cut into short clips."""

import collections
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from stemgen_jax import audio, disk, finite, small_runs
from stemgen_jax.codec.scales import AUDIBLE

# Shares of the clips; the others are single stems.
_MIXES = 0.5
_SILENCE = 0.02
# Change of the loudness at which songs are encoded, in dB; for a tenth of the
# clips it is much lower, as in fades and distant passages.
_SPREAD = 6.0
_QUIET_SHARE, _QUIET_RANGE = 0.1, (-30.0, -6.0)
_GAIN_SPREAD = 6.0  # dB, of a stem within a mix
_TRIES = 8

Batch = Float[np.ndarray, "size 1 samples"]


class Songs(Protocol):
  """A source of songs, see `data.songs`; data is a room above this one."""

  def songs(self) -> Iterable[Any]:
    """Return the songs of all splits."""
    ...


def render(
  source: Songs,
  folder: pathlib.Path,
  sample_rate: int,
  splits: Sequence[str] = ("train", "valid"),
) -> Iterator[str]:
  """Write the songs of some splits as mono float16; yield each song's id.

  The folder gets one `SONG.npy` [stems, samples] per song and an index of the
  complete ones, which are not rendered again when a stopped run resumes.

  Args:
    source: source of songs; its repr is compared with that in the index.
    folder: cache of rendered songs.
    sample_rate: sample rate to render at, in Hz.
    splits: splits to render.

  Raises:
    ValueError: the folder has other songs, or has another sample rate.
  """
  recipe = f"{source!r} at {sample_rate} Hz, with loudness"
  index = small_runs.rendered_songs(folder, recipe)
  for song in source.songs():
    if song.split not in splits:
      continue
    if song.id not in index:
      sounds = (stem.read() for stem in song.stems)
      stems = [
        audio.resample_mono(x.samples.mean(1), x.sample_rate, sample_rate)
        for x in sounds
      ]
      # float16 halves the cache; its noise is far below the codec's error.
      with disk.replacing(folder / f"{song.id}.npy") as file:
        np.save(file, np.stack(stems).astype(np.float16))
      loudness = [audio.loudness_db(x[:, None], sample_rate) for x in stems]
      index[song.id] = {
        "split": song.split,
        "categories": [stem.category for stem in song.stems],
        "loudness": [finite.or_none(x, 2) for x in loudness],
      }
      small_runs.write_index(folder, recipe, index)
    yield song.id


class Clips:
  """Random clips of the rendered songs of one split.

  A clip is a stem (every category equally often), a mix of at least two stems
  of a song with random gains (contexts are such mixes), or silence. Its stem or
  mix has the loudness at which songs are encoded, `audio.REFERENCE_DB`, so that
  a quiet passage stays one. A batch is a function of the seed and its number
  alone.
  """

  def __init__(self, folder: pathlib.Path, split: str, samples: int, seed: int):
    index = small_runs.all_songs(folder)
    songs = {id: song for id, song in index.items() if song["split"] == split}
    if not songs:
      raise ValueError(
        f"{folder}: no songs of the split {split!r}; render them first"
      )
    # Memory-mapped: a step reads a few clips of a few songs.
    self._songs = [
      disk.read_npy(folder / f"{id}.npy", "delete the folder") for id in songs
    ]
    # RMS of each stem where it plays; 0 for a silent one.
    self._rms = [
      np.array([0.0 if x is None else 10 ** (x / 20) for x in song["loudness"]])
      for song in songs.values()
    ]
    self._by_category = collections.defaultdict(list)
    for number, song in enumerate(songs.values()):
      for row, category in enumerate(song["categories"]):
        self._by_category[category].append((number, row))
    self.categories = tuple(sorted(self._by_category))
    self._samples = samples
    self._seed = seed

  def batch(self, number: int, size: int) -> Batch:
    """Return training clips within 6 dB of the usual loudness, float32."""
    rng = np.random.default_rng((self._seed, number))
    return np.stack([self._clip(rng) for _ in range(size)])[:, None]

  def of_category(self, category: str, size: int) -> Batch:
    """Return audible clips of a category (or "mix") at the usual loudness."""
    # The seed is not the category's hash, which differs between processes.
    rng = np.random.default_rng((self._seed, *category.encode()))
    return np.stack([self._audible(rng, category) for _ in range(size)])[
      :, None
    ]

  def _clip(self, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < _SILENCE:
      return np.zeros(self._samples, np.float32)
    mix = kind < _SILENCE + _MIXES
    clip = self._audible(rng, "mix" if mix else rng.choice(self.categories))
    change = (
      _QUIET_RANGE if rng.random() < _QUIET_SHARE else (-_SPREAD, _SPREAD)
    )
    return clip * np.float32(10 ** (rng.uniform(*change) / 20))

  def _audible(self, rng: np.random.Generator, category: str) -> np.ndarray:
    # A stem may be wholly silent: after some tries a silent clip is returned.
    clip = np.zeros(self._samples, np.float32)
    for _ in range(_TRIES):
      clip = self._mix(rng) if category == "mix" else self._stem(rng, category)
      if np.sqrt(np.square(clip).mean()) > AUDIBLE:
        break
    return clip

  def _stem(self, rng: np.random.Generator, category: str) -> np.ndarray:
    places = self._by_category[category]
    song, row = places[rng.integers(len(places))]
    return self._sum(rng, song, np.array([row]), np.ones(1))

  def _mix(self, rng: np.random.Generator) -> np.ndarray:
    song = int(rng.integers(len(self._songs)))
    stems = len(self._songs[song])
    count = rng.integers(min(2, stems), stems + 1)
    rows = rng.choice(stems, count, replace=False)
    gains = 10 ** (rng.uniform(-1, 1, count) * _GAIN_SPREAD / 20)
    return self._sum(rng, song, rows, gains)

  def _sum(
    self,
    rng: np.random.Generator,
    song: int,
    rows: Int[np.ndarray, " stems"],
    gains: Float[np.ndarray, " stems"],
  ) -> np.ndarray:
    """Return a random clip of some stems, whose sum has the usual loudness."""
    stems = self._songs[song]
    start = self._start(rng, stems)
    clips = stems[rows, start : start + self._samples].astype(np.float32)
    # For whole songs, by their powers: the sum itself would have to be read.
    rms = np.sqrt(np.square(gains * self._rms[song][rows]).sum())
    scale = 10 ** (audio.REFERENCE_DB / 20) / rms if rms else 1.0
    return (scale * gains).astype(np.float32) @ clips  # [samples]

  def _start(self, rng: np.random.Generator, stems: np.ndarray) -> int:
    last = stems.shape[1] - self._samples
    if last < 0:
      raise ValueError(
        f"a song of {stems.shape[1]} samples: expected at least the"
        f" {self._samples} of a clip"
      )
    return int(rng.integers(last + 1))
