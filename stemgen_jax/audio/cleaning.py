"""Remove a constant offset, and clicks in silence, from a context."""

import numpy as np
from jaxtyping import Float32

from stemgen_jax.audio.sound import Samples, rms_db

_BLOCK_SECONDS = 0.1
_LEAST_BLOCKS = 8
# An offset matters from -60 dB of full scale and a tenth of the RMS on.
_LEAST_OFFSET, _LEAST_SHARE = 1e-3, 0.1
_SHARED = 0.95  # share of the blocks that have it, in rests too
# Music with clicks alone, in blocks of 5 ms: 0.2 % of it, but the noise of 16
# bits, is above silence.
_CLICK_SECONDS, _CLICK_SHARE = 0.005, 0.002


def offset(samples: Samples, sample_rate: int) -> Float32[np.ndarray, " c"]:
  """Return the constant offset of every channel; 0 where there is none.

  Low notes give blocks of a sound means of either sign, an offset gives all of
  them about the same one, in rests as well, and shifts the peaks: asymmetric
  waves, as of distortion, have a mean in notes alone, or between even peaks.
  """
  block = min(
    round(_BLOCK_SECONDS * sample_rate), len(samples) // _LEAST_BLOCKS
  )
  count = len(samples) // max(block, 1)
  if count < _LEAST_BLOCKS:
    return np.zeros(samples.shape[1], np.float32)
  blocks = samples[: count * block].reshape(count, block, -1)  # [count, n, c]
  means = blocks.mean(axis=1, dtype=np.float64)  # [count, c]
  found = np.median(means, axis=0)  # [c]
  shared = np.mean(np.abs(means - found) < np.abs(found) / 2, axis=0)
  low, high = blocks.min(axis=1), blocks.max(axis=1)  # [count, c]
  # In the quietest quarter the offset outweighs the sound's own asymmetry.
  quiet = np.argsort(high - low, axis=0)[: count // 4]
  middles = np.take_along_axis((low + high) / 2, quiet, axis=0)
  middle = np.median(middles, axis=0)  # [c]
  rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64), axis=0))
  least = np.maximum(_LEAST_OFFSET, _LEAST_SHARE * rms)
  constant = (
    (np.abs(found) > least)
    & (shared >= _SHARED)
    & (middle * np.sign(found) > np.abs(found) / 2)
  )
  return np.where(constant, found, 0).astype(np.float32)


def without_offset(samples: Samples, sample_rate: int) -> Samples:
  """Return a sound without its constant offset; the same one if it has none."""
  found = offset(samples, sample_rate)
  return samples - found if found.any() else samples


def without_clicks(
  samples: Samples, sample_rate: int, silence_db: float
) -> Samples:
  """Return silence if a sound is clicks in silence alone, otherwise the sound.

  Args:
    samples: the sound.
    sample_rate: sample rate in Hz.
    silence_db: RMS below which a sound is silent, dB of full scale.
  """
  block = max(1, round(_CLICK_SECONDS * sample_rate))
  power = np.square(samples).mean(axis=1)  # [n]
  loudest = np.add.reduceat(power, np.arange(0, len(power), block))
  loudest.sort()
  rest = loudest[: len(loudest) - int(_CLICK_SHARE * len(loudest))]
  quiet = rms_db(np.sqrt(rest / block)[:, None]) < silence_db
  return np.zeros_like(samples) if quiet and power.any() else samples
