"""Spectra of a sound as the coherence model reads them."""

import numpy as np
from jaxtyping import Bool, Float, Float32

from stemgen_jax import audio
from stemgen_jax.audio import Audio, spectrum

SAMPLE_RATE = 32000
HOP = 640
FRAME_RATE = SAMPLE_RATE / HOP
BANDS = spectrum.BANDS
VERSION = 1
"""Increased with each change, so that caches of others are refused."""

_ACTIVE_DB = 35.0  # below the loudest frame


def powers(sound: Audio) -> Float32[np.ndarray, "t bands"]:
  """Return the powers of every 20 ms, at the sample rate of the model."""
  mono = audio.resample_mono(audio.mono(sound), sound.sample_rate, SAMPLE_RATE)
  frames = -(-len(mono) // HOP)
  centers = np.arange(frames) * HOP + HOP // 2
  return spectrum.powers(mono[:, None], SAMPLE_RATE, centers)


def active(
  power: Float[np.ndarray, "*b t bands"],
) -> Bool[np.ndarray, "*b t"]:
  """Return the frames within 35 dB of the loudest one; none of silence."""
  total = power.sum(axis=-1)
  loudest = total.max(axis=-1, keepdims=True, initial=0)
  floor = max(spectrum.FLOOR**2 * BANDS, 1e-12)
  return total > np.maximum(loudest * 10 ** (-_ACTIVE_DB / 10), floor)


FLOOR = 1e-6
"""Power that is added to every band, relative to the loudest frames."""


def relative(
  power: Float[np.ndarray, "t bands"],
) -> Float32[np.ndarray, "t bands"]:
  """Return log magnitudes relative to the level of the sound, in nepers."""
  playing = power[active(power)]
  level = playing.sum(axis=1).mean() if len(playing) else 1.0
  return 0.5 * np.log((power / level).astype(np.float32) + np.float32(FLOOR))
