"""Loudness of a sound, and the one that codec and model work at.

Preparation, the training of codec and model, and generation all bring a sound
to `REFERENCE_DB` before it is encoded, and keep the gain.
"""

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio.sound import Samples, to_db

REFERENCE_DB = -20.0
"""Loudness in dB of full scale that sounds are encoded at."""

_BLOCK_SECONDS = 0.1
_RANGE_DB = 30.0


def loudness_db(samples: Samples, sample_rate: int) -> float:
  """Measure the RMS of a sound where it plays, in dB of full scale.

  Tenths of a second that are more than 30 dB below the loudest do not count, so
  that rests do not make a stem seem quiet.

  Returns:
    dB of full scale; -inf for silence.
  """
  power = np.square(samples, dtype=np.float32).mean(axis=1)  # [samples]
  return loudness_of_frames(power, sample_rate)


def loudness_of_frames(
  power: Float[np.ndarray, " t"], frame_rate: float
) -> float:
  """Return the loudness of a sound given the mean square of its frames."""
  block = max(1, round(_BLOCK_SECONDS * frame_rate))
  starts = np.arange(0, len(power), block)
  counts = np.diff(starts, append=len(power))
  blocks = np.add.reduceat(power, starts) / counts if len(power) else power
  loudest = blocks.max(initial=0.0)
  if loudest <= 0:
    return to_db(0.0)
  playing = blocks > loudest * 10 ** (-_RANGE_DB / 10)
  return to_db(float(np.sqrt(blocks[playing].mean())))


def gain_to(loudness: float, reference_db: float = REFERENCE_DB) -> float:
  """Return the factor from one loudness to another; 1 for silence."""
  return 10 ** ((reference_db - loudness) / 20) if loudness > -np.inf else 1.0
