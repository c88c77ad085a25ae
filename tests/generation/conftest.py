"""Engines with a codec that is plain PCM."""

import jax
import numpy as np
import pytest
from pcm import PcmCodec
from pcm_model import pcm_config

from stemgen_jax import StemGen, model, sampling


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
