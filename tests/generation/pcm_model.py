"""A tiny model of PCM codes, music for it, and takes as saved."""

import numpy as np
import soxr
from pcm import RATE

from stemgen_jax import audio, model, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.generation import stemgen as stemgen_lib

FAST = sampling.Settings(steps=(3, 2))
FRAME = 80  # samples


def pcm_config(window=50):
  return model.ModelConfig(
    levels=2,
    codes=256,
    width=16,
    depth=1,
    heads=2,
    mlp=16,
    window=window,
    frame_rate=100.0,
    codec="pcm",
    codec_checksum="abc",
  )


def music(seconds=0.5, rate=RATE, channels=1, seed=0):
  """Noise up to 3 kHz, so that every sample rate can carry it."""
  draw = np.random.default_rng(seed).normal(size=(round(seconds * 6000), 1))
  wide = soxr.resample(0.1 * draw.astype(np.float32), 6000, rate)
  sound = audio.fit(wide.reshape(-1, 1), round(seconds * rate))
  return Audio(np.tile(sound, (1, channels)), rate)


def saved(take, folder):
  """Save a take and load it."""
  return stemgen_lib.Take.load(take.save(folder, bits="float"))
