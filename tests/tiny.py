"""A tiny source of songs and a tiny codec, for tests without a band."""

import dataclasses
import functools
import types
from collections.abc import Iterator

import numpy as np

from stemgen_jax.audio import Audio
from stemgen_jax.data import songs

CATEGORIES = ("bass", "drums", "piano", "guitar")
RATE = 800


def _sine(frequency: float, seconds: float, rest: int) -> Audio:
  """A sine that is silent in second `rest`, and a little before: a filter
  takes some time to calm down."""
  time = np.arange(round(seconds * RATE)) / RATE
  audio = 0.2 * np.sin(2 * np.pi * frequency * time)
  audio[max(0, rest * RATE - RATE // 10) : (rest + 1) * RATE] = 0
  return Audio(audio.astype(np.float32)[:, None], RATE)


@dataclasses.dataclass(frozen=True)
class Sines:
  """Songs whose stems are sine waves; each stem rests for a second."""

  train: int = 4
  valid: int = 1
  test: int = 1
  stems: int = 4
  seconds: float = 8.0
  name: str = "sines"
  first: int = 0

  def songs(self) -> Iterator[songs.Song]:
    splits = ["train"] * self.train + ["valid"] * self.valid
    splits += ["test"] * self.test
    for number, split in enumerate(splits, self.first):
      yield songs.Song(
        id=f"sines/{number}",
        split=split,
        genre="techno",
        stems=tuple(
          songs.Stem(
            name=f"stem {i}",
            category=CATEGORIES[i % len(CATEGORIES)],
            read=functools.partial(
              _sine, 80.0 + 7 * number + 31 * i, self.seconds, i
            ),
          )
          for i in range(self.stems)
        ),
      )


@dataclasses.dataclass(frozen=True)
class Scored(Sines):
  """The same songs with beats, at 120 beats per minute in 4/4."""

  def songs(self) -> Iterator[songs.Song]:
    beats = tuple(np.arange(0.0, self.seconds, 0.5))
    score = types.SimpleNamespace(beats=beats, downbeats=beats[::4])
    for song in super().songs():
      yield dataclasses.replace(song, score=lambda: score)


class FrameEnergies:
  """Two levels: a frame's energy in 64 steps, and its first difference."""

  name = "energies"
  sample_rate = RATE
  channels = 1
  hop = 80
  frame_rate = RATE / 80
  levels = 2
  codes_per_level = 64

  def __init__(self, checksum: str = "e" * 64):
    self.checksum = checksum

  def frames(self, samples: int) -> int:
    return -(-samples // self.hop)

  def encode(self, audio: np.ndarray) -> np.ndarray:
    b, samples, _ = audio.shape
    t = self.frames(samples)
    padded = np.pad(audio[:, :, 0], ((0, 0), (0, t * self.hop - samples)))
    energy = np.abs(padded.reshape(b, t, self.hop)).mean(2)
    coarse = (energy * 200).astype(np.int32).clip(0, 63)
    fine = np.abs(np.diff(coarse, axis=1, prepend=0))
    return np.stack([coarse, fine], axis=2).astype(np.int32)

  def decode(self, codes: np.ndarray) -> np.ndarray:
    energy = codes[:, :, 0].astype(np.float32) / 200
    return np.repeat(energy, self.hop, axis=1)[:, :, None]

  def codebooks(self) -> np.ndarray:
    return np.arange(2 * 64 * 3, dtype=np.float32).reshape(2, 64, 3)
