"""Songs of a tone and a noise, where no soundfont is needed."""

import numpy as np

from stemgen_jax.data import songs

SECONDS = 2


class Tones:
  """A source of songs of one tone and one noise."""

  name = "tones"

  def __init__(self, rate: int = 32_000):
    self._rate = rate

  def songs(self):
    for number, split in enumerate(("train", "train", "train", "valid")):
      yield songs.Song(
        id=f"tones-{number}",
        split=split,
        genre="techno",
        sample_rate=self._rate,
        stems=(
          songs.Stem("tone", "piano", lambda n=number: self._tone(n)),
          songs.Stem("noise", "drums", lambda n=number: self._noise(n)),
        ),
      )

  def _tone(self, number: int) -> np.ndarray:
    time = np.arange(SECONDS * self._rate, dtype=np.float32) / self._rate
    tone = 0.2 * np.sin(2 * np.pi * 110 * (number + 1) * time)
    return tone[:, None].astype(np.float32)

  def _noise(self, number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    noise = 0.1 * rng.standard_normal((SECONDS * self._rate, 1))
    return noise.astype(np.float32)
