"""Songs of chimes and clicks in two versions, where no soundfont is needed."""

import dataclasses

import numpy as np

from stemgen_jax.audio import Audio

RATE = 32_000
SECONDS = 4.0
BEAT = 0.5
CHORDS = ((0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4))


@dataclasses.dataclass(frozen=True)
class Part:
  name: str
  category: str
  roots: tuple[int, ...]  # of each beat; none for clicks
  swing: int  # sixteenths that every second note is late


@dataclasses.dataclass(frozen=True)
class Score:
  parts: tuple[Part, ...]
  chords: tuple

  genre = "techno"
  beats = tuple(np.arange(0, SECONDS, BEAT))
  sixteenth = BEAT / 4


@dataclasses.dataclass(frozen=True)
class Chord:
  start: float
  end: float
  pitch_classes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Chimes:
  """A source as `corpus.Source`; song 0 has no other chords."""

  train: int = 4
  valid: int = 3

  def numbers(self, split):
    return range(self.train) if split == "train" else range(90, 90 + self.valid)

  def score(self, number, other=0):
    beats = round(SECONDS / BEAT)
    rng = np.random.default_rng((number, other))
    places = rng.integers(len(CHORDS), size=beats)
    roots = tuple(CHORDS[place][0] for place in places)
    swing = number % 3
    parts = (
      Part("drums", "drums", (), swing),
      Part("bass", "bass", roots, swing),
      Part("comp", "piano", roots, swing),
    )
    chords = tuple(
      Chord(i * BEAT, (i + 1) * BEAT, CHORDS[place])
      for i, place in enumerate(places)
    )
    return Score(parts, chords)

  def reharmonized(self, number):
    if number == 0:
      raise LookupError("no other chords")
    return self.score(number, other=1)

  def read(self, part):
    samples = np.zeros(round(SECONDS * RATE), np.float32)
    time = np.arange(round(0.25 * RATE)) / RATE
    fade = np.exp(-8 * time)
    noise = np.random.default_rng(0).standard_normal(len(time))
    low = {"bass": 36, "comp": 60}.get(part.name, 0)
    for beat in range(round(SECONDS / BEAT)):
      at = beat * BEAT + (beat % 2) * part.swing * BEAT / 4
      first = round(at * RATE)
      sound = noise
      if part.roots:
        pitch = low + part.roots[beat]
        sound = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)
      played = samples[first : first + len(time)]
      played += (0.2 * fade * sound)[: len(played)].astype(np.float32)
    return Audio(samples[:, None], RATE)
