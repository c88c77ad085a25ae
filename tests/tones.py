"""Songs of a tone and a noise, where no soundfont is needed."""

import dataclasses

import numpy as np

from stemgen_jax.audio import Audio
from stemgen_jax.data import songs

SECONDS = 2


@dataclasses.dataclass(frozen=True)
class Tones:
  """A source of songs of one tone and one noise."""

  rate: int = 32_000
  name: str = "tones"

  def songs(self):
    for number, split in enumerate(("train", "train", "train", "valid")):
      yield songs.Song(
        id=f"tones-{number}",
        split=split,
        genre="techno",
        stems=(
          songs.Stem("tone", "piano", lambda n=number: self._tone(n)),
          songs.Stem("noise", "drums", lambda n=number: self._noise(n)),
        ),
      )

  def _tone(self, number: int) -> Audio:
    time = np.arange(SECONDS * self.rate, dtype=np.float32) / self.rate
    tone = 0.2 * np.sin(2 * np.pi * 110 * (number + 1) * time)
    return Audio(tone[:, None].astype(np.float32), self.rate)

  def _noise(self, number: int) -> Audio:
    rng = np.random.default_rng(number)
    noise = 0.1 * rng.standard_normal((SECONDS * self.rate, 1))
    return Audio(noise.astype(np.float32), self.rate)
