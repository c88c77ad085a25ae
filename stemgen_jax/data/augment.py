"""Augment spectrum contexts, so that recordings are not out of distribution.

All are products and sums of powers: equalizers, noise, rooms, narrow bands and
gaps.
"""

import numpy as np
from jaxtyping import Float, Float32

_TILT_DB = 3.0  # per octave from 500 Hz, at most
_NOISE_SHARE, _NOISE_DB = 0.5, (-75.0, -40.0)  # RMS of white noise, full scale
_NOISE_TILT_DB = 6.0  # per octave, at most: from white to brown
_ROOM_SHARE, _ROOM_WET, _ROOM_SECONDS = 0.5, 0.5, (0.2, 1.5)
_NARROW_SHARE = 0.1  # of examples that lose low or high bands
_GAP_SHARE, _GAP_SECONDS = 0.2, (0.1, 1.0)
# Mean power of white noise of RMS 1 in any band: the mean square of a Hann
# window.
_WHITE = 0.375


def augment(
  power: Float[np.ndarray, "t bands"],
  rng: np.random.Generator,
  frame_rate: float,
  frequencies: Float[np.ndarray, " bands"],
) -> Float32[np.ndarray, "t bands"]:
  """Return the band powers of a context after random changes.

  Args:
    power: powers at the reference loudness.
    rng: source of all random numbers.
    frame_rate: frames per second.
    frequencies: centers of the bands in Hz.
  """
  octaves = np.log2(frequencies / 500.0)
  power = power * _from_db(rng.uniform(-1, 1) * _TILT_DB * octaves)
  if rng.random() < _ROOM_SHARE:
    power = _smear(power, rng, frame_rate)
  if rng.random() < _NARROW_SHARE:
    edge = rng.uniform(0, 0.4) * power.shape[1]
    bands = np.argsort(np.argsort(frequencies))  # rank of each band
    lost = bands < edge
    if rng.random() < 0.5:
      lost = bands >= len(bands) - edge
    power = np.where(lost, 0.0, power)
  if rng.random() < _GAP_SHARE:
    frames = max(1, round(rng.uniform(*_GAP_SECONDS) * frame_rate))
    first = int(rng.integers(max(1, len(power) - frames + 1)))
    power[first : first + frames] = 0.0
  if rng.random() < _NOISE_SHARE:
    tilt = -rng.random() * _NOISE_TILT_DB * octaves
    power = power + _WHITE * _from_db(rng.uniform(*_NOISE_DB) + tilt)
  return power.astype(np.float32)


def _smear(
  power: np.ndarray, rng: np.random.Generator, frame_rate: float
) -> np.ndarray:
  """Add an exponential decay to every frame, as a room does."""
  seconds = rng.uniform(*_ROOM_SECONDS)  # until 60 dB below
  decay = 10 ** (-6.0 / (seconds * frame_rate))
  wet = rng.uniform(0, _ROOM_WET) * (1 - decay)
  tail = np.zeros_like(power)
  for frame in range(1, len(power)):
    tail[frame] = decay * (tail[frame - 1] + power[frame - 1])
  return power + wet * tail


def _from_db(decibels: np.ndarray) -> np.ndarray:
  return 10 ** (decibels / 10)
