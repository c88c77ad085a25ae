"""Detect the seconds of a clip in which something can be heard."""

import functools
import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import signal

_FRAME_SECONDS = 0.1  # longer than a cycle at 20 Hz


def active_seconds(
  audio: Float[np.ndarray, "samples channels"],
  sample_rate: int,
  threshold_db: float = -60.0,
) -> Bool[np.ndarray, " seconds"]:
  """Return the seconds whose loudest tenth is above a threshold.

  A-weighting keeps rumble and DC from counting as music; the loudest tenth
  lets a single drum hit make its second active. A last second that is not
  whole counts as one.

  Args:
    audio: samples [n, c] within -1..1.
    sample_rate: sample rate in Hz.
    threshold_db: A-weighted RMS in dB of full scale.
  """
  seconds = math.ceil(len(audio) / sample_rate)
  frame = round(_FRAME_SECONDS * sample_rate)
  per_second = round(1 / _FRAME_SECONDS)
  power = np.square(
    signal.sosfilt(_a_weighting(sample_rate), audio, axis=0)
  ).mean(axis=1)  # [n]
  edges = np.arange(math.ceil(len(power) / frame)) * frame
  rms = np.sqrt(np.add.reduceat(power, edges) / frame)  # [frames]
  # One frame more than whole seconds need: rounding may have added it.
  rms = np.pad(rms, (0, seconds * per_second + 1 - len(rms)))
  loudest = rms[: seconds * per_second].reshape(seconds, per_second).max(1)
  return loudest > 10 ** (threshold_db / 20)


@functools.cache
def _a_weighting(sample_rate: int) -> np.ndarray:
  """Return the A-weighting curve (IEC 61672), 0 dB at 1 kHz, as sections.

  The bilinear transform distorts it near half the sample rate, which does not
  matter for detecting silence.
  """
  poles = -2 * np.pi * np.array([20.6, 20.6, 107.7, 737.9, 12194.0, 12194.0])
  return signal.zpk2sos(
    *signal.bilinear_zpk(np.zeros(4), poles, 7.39705e9, sample_rate)
  )
