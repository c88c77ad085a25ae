"""Fresh submixes: a new context for every example, as powers of stems.

The paper draws a new crop and a new subset of stems for every example. Powers
of stems add up to that of their mix, so no codec is needed.
"""

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from stemgen_jax import audio
from stemgen_jax.audio import spectrum
from stemgen_jax.data.augment import augment
from stemgen_jax.data.crops import Crop
from stemgen_jax.data.preparation import pairs

_TRIES = 8  # subsets, until one sounds together with the target


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submix:
  """Turn a record of stems into an example.

  Attributes:
    crop: chooses the part of the record.
    sample_rate: sample rate of the codec in Hz.
    subset_sizes: see `pairs.PairConfig`.
    empty_share: share of examples whose context is silence.
    gain_db: largest random change of the level of a stem in the context.
    augmented: change the context at random, see `augment.augment`.
  """

  crop: Crop
  sample_rate: int
  subset_sizes: str
  empty_share: float
  gain_db: float
  augmented: bool

  def __call__(
    self, record: dict[str, Any], target: int, rng: np.random.Generator
  ) -> dict[str, Any]:
    """Return an example: float32 `context`, codes of `target`, conditions.

    Args:
      record: see `records.StemRecords`.
      target: index of the target stem.
      rng: source of all random numbers.
    """
    context = self._choose(record, target, rng)
    gains_db = rng.uniform(-self.gain_db, self.gain_db, len(context))
    active = record["active"]
    first = self.crop.first_frame(
      {
        "target": record["target"][target],
        "context_active": active[context].any(axis=0),
        "target_active": active[target],
      },
      rng.random(),
    )
    part = slice(first, first + self.crop.window)
    frame_rate = self.crop.frame_rate
    weights = stem_weights(record, context, gains_db)
    gain = reference_gain(record, context, weights, frame_rate)
    power = mix(record, context, weights * gain**2, part)
    if self.augmented and context:
      frequencies = spectrum.band_frequencies(self.sample_rate)
      power = augment(power, rng, frame_rate, frequencies)
    return {
      "context": spectrum.log_magnitudes(power),  # [window, bands]
      "target": record["target"][target, part],
      "category": record["category"][target],
      "genre": record["genre"],
      "role": record["role"][target],
      "song": zlib.crc32(record["song_id"]) >> 1,
      **self.crop.places(record, first),
    }

  def _choose(
    self, record: dict[str, Any], target: int, rng: np.random.Generator
  ) -> list[int]:
    """Return the stems of a context; [] for silence."""
    active = record["active"]
    others = np.flatnonzero(active.any(axis=1))
    others = others[others != target]
    if rng.random() < self.empty_share:
      return []
    chosen = []
    for _ in range(_TRIES):
      chosen = list(pairs.draw_subset(self.subset_sizes, others, rng))
      if (active[chosen].any(axis=0) & active[target]).any():
        break
    return chosen


def stem_weights(
  record: dict[str, Any],
  stems: Sequence[int],
  gains_db: Float[np.ndarray, " chosen"],
) -> Float[np.ndarray, " chosen"]:
  """Return factors of the stored powers of stems.

  Args:
    record: see `records.StemRecords`.
    stems: indices of the stems.
    gains_db: change of each from its level in the song.
  """
  stored_db = record["loudness_db"][list(stems)].astype(np.float64)
  # Silent stems are stored as they are.
  stored_db = np.where(np.isfinite(stored_db), stored_db, audio.REFERENCE_DB)
  return 10 ** ((stored_db - audio.REFERENCE_DB + gains_db) / 10)


def reference_gain(
  record: dict[str, Any],
  stems: Sequence[int],
  weights: Float[np.ndarray, " chosen"],
  frame_rate: float,
) -> float:
  """Return the factor that brings a mix of the record to `REFERENCE_DB`."""
  power = weights @ spectrum.restored(record["power"][list(stems)])  # [t]
  return audio.gain_to(audio.loudness_of_frames(power, frame_rate))


def mix(
  record: dict[str, Any],
  stems: Sequence[int],
  weights: Float[np.ndarray, " chosen"],
  part: slice,
) -> Float32[np.ndarray, "t bands"]:
  """Return the sum of weighted band powers of stems in a part of a record."""
  shape = record["spectrum"][0, part].shape
  total = np.zeros(shape, np.float32)
  for stem, weight in zip(stems, weights):
    total += np.float32(weight) * spectrum.restored(
      record["spectrum"][stem, part]
    )
  return total
