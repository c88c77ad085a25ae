"""A tiny model of PCM codes as fixtures, music for it, and takes as saved."""

import jax
import numpy as np
import pytest
import soxr
from pcm import RATE, PcmCodec

from stemgen_jax import StemGen, audio, model, sampling
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


@pytest.fixture(scope="session")
def params():
  return model.init_params(pcm_config(), jax.random.key(0))


@pytest.fixture
def tiny(params):
  return StemGen(pcm_config(), params, PcmCodec(), {})


@pytest.fixture
def sampler(monkeypatch):
  """Sample random codes that depend on seed and window; no model."""

  def decode(config, params, context, conditions, seeds, *_, **given):
    assert given["known"].shape == given["known_mask"].shape == context.shape
    draws = [
      np.random.default_rng((seed, given["frame_offset"])).integers(
        100, 150, context.shape[1:]
      )
      for seed in seeds
    ]
    return np.where(given["known_mask"], given["known"], np.stack(draws))

  monkeypatch.setattr(sampling, "decode_codes", decode)
  return StemGen(pcm_config(), {}, PcmCodec(), {})
