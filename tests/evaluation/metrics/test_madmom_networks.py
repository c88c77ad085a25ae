"""Networks and filters that run faster than those of their libraries."""

import types

import numpy as np
import pytest

from stemgen_jax.audio.analysis import librosa
from stemgen_jax.evaluation.metrics import (
  madmom_networks,
  madmom_package,
  percussion,
)


def sound(seconds, rate):
  rng = np.random.default_rng(0)
  time = np.arange(round(seconds * rate)) / rate
  tone = 0.3 * np.sin(2 * np.pi * 220 * time) * (time % 0.5 < 0.1)
  return (tone + rng.normal(0, 0.01, time.shape)).astype(np.float32)


def test_networks_agree_with_madmoms():
  with madmom_package.called_madmom():
    from madmom.audio.signal import Signal
    from madmom.features.downbeats import RNNDownBeatProcessor
    from madmom.features.key import CNNKeyRecognitionProcessor
  signal = Signal(
    (sound(2.0, 44100) * 32767).astype(np.int16),
    sample_rate=44100,
    num_channels=1,
  )
  beats, key = RNNDownBeatProcessor(), CNNKeyRecognitionProcessor()
  plain = beats(signal), key(signal)
  assert plain[0].max() > 0.05
  madmom_networks.accelerate_beats(beats)
  madmom_networks.accelerate_key(key)
  np.testing.assert_allclose(beats(signal), plain[0], atol=1e-5)
  np.testing.assert_allclose(key(signal), plain[1], rtol=1e-5)


def test_other_convolutions_are_refused():
  layer = types.SimpleNamespace(pad="same", stride=2)
  with pytest.raises(ValueError, match="padding 'same' and stride 2"):
    madmom_networks.Convolution(layer)


def test_percussive_sound_is_librosas():
  samples = sound(1.5, 22050)
  expected = librosa.effects.percussive(samples, margin=2.0)
  assert expected.any()
  np.testing.assert_array_equal(percussion.percussive(samples), expected)
