import numpy as np
import pytest

from stemgen_jax import audio

RATE = 8000


def noise(seconds, decibels, seed=0):
  draw = np.random.default_rng(seed).normal(size=(round(seconds * RATE), 1))
  return (10 ** (decibels / 20) * draw).astype(np.float32)


def test_rests_do_not_count():
  playing = noise(2, -20)
  rests = np.concatenate([playing, noise(6, -80), playing])
  assert audio.loudness_db(playing, RATE) == pytest.approx(-20, abs=0.1)
  assert audio.loudness_db(rests, RATE) == pytest.approx(-20, abs=0.1)
  # Passages within 30 dB of the loudest do.
  quiet = np.concatenate([playing, noise(2, -40)])
  assert audio.loudness_db(quiet, RATE) == pytest.approx(-23, abs=0.1)


def test_gain():
  sound = noise(1, -33)
  gain = np.float32(audio.gain_to(audio.loudness_db(sound, RATE), -20.0))
  assert audio.loudness_db(gain * sound, RATE) == pytest.approx(-20, abs=1e-3)
  for silence in (0 * sound, sound[:0]):
    assert audio.loudness_db(silence, RATE) == -np.inf
  assert audio.gain_to(-np.inf) == 1.0
