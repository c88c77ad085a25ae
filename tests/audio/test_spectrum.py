"""Spectra agree with the filters that the codec is trained with."""

import numpy as np
import pytest
import torch

from stemgen_jax import audio
from stemgen_jax.audio import spectrum
from stemgen_jax.codec.training import losses
from stemgen_jax.model import config as config_lib


def _noise(samples, channels=1):
  rng = np.random.default_rng(0)
  return rng.standard_normal((samples, channels), np.float32) * 0.1


@pytest.mark.parametrize("rate", [24000, 32000, 48000])
def test_powers_equal_those_of_pytorch(rate):
  sound = _noise(rate // 2)
  hop = 640
  centers = np.arange(rate // 2 // hop) * hop
  found = spectrum.powers(sound, rate, centers)
  for index, part in enumerate((slice(24), slice(24, 84), slice(84, 108))):
    size = spectrum.window_size(rate, index)
    filters = (
      losses.mel_filters(rate, size, 24)
      if index == 2
      else losses.semitone_filters(rate, size)[
        (slice(24), slice(24, 84))[index]
      ]
    )
    stft = torch.stft(
      torch.from_numpy(sound[:, 0]),
      size,
      hop,
      window=torch.hann_window(size),
      pad_mode="constant",
      return_complex=True,
    )
    wanted = (filters @ (stft.abs() ** 2 / size)).T[: len(centers)]
    np.testing.assert_allclose(
      found[:, part], wanted.numpy(), rtol=2e-3, atol=1e-7
    )


def test_number_of_bands_is_that_of_the_model():
  assert spectrum.BANDS == config_lib.SPECTRUM_BANDS
  assert len(spectrum.band_frequencies(32000)) == spectrum.BANDS


def test_tone_is_loudest_in_its_semitone():
  rate, centers = 32000, np.array([16000])
  for note in (42, 50, 60, 81, 100):
    time = np.arange(rate) / rate
    sound = np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time)
    power = spectrum.powers(sound[:, None].astype(np.float32), rate, centers)
    assert power[0, : spectrum.SEMITONES].argmax() == note - 24


def test_silence_has_the_feature_of_silence():
  centers = np.arange(0, 90000, 9000)  # also beyond the end
  found = spectrum.features(np.zeros((32000, 2), np.float32), 32000, centers)
  np.testing.assert_allclose(found, np.log(spectrum.FLOOR), rtol=1e-6)
  sound = _noise(32000)
  found = spectrum.features(sound, 32000, centers)
  np.testing.assert_allclose(found[-1], np.log(spectrum.FLOOR), rtol=1e-6)


def test_loop_wraps_around():
  sound = _noise(6400)
  centers = np.arange(10) * 640 + 320
  once = spectrum.powers(sound, 32000, centers, loop=True)
  repeated = np.tile(sound, (5, 1))
  again = spectrum.powers(repeated, 32000, centers + 2 * len(sound))
  np.testing.assert_allclose(once, again, rtol=1e-3, atol=1e-8)


def test_stored_powers_come_back():
  power = np.geomspace(1e-9, 10, 100).astype(np.float32)
  back = spectrum.restored(spectrum.stored(power))
  change = spectrum.log_magnitudes(back) - spectrum.log_magnitudes(power)
  assert np.abs(change).max() < 0.01


def test_frame_powers_give_the_loudness():
  sound = _noise(32000, 2)
  frames = spectrum.frame_powers(sound, np.arange(50) * 640, 640)
  assert abs(10 * np.log10(frames.mean()) - audio.rms_db(sound)) < 0.01
  found = audio.loudness_of_frames(frames, 50.0)
  assert abs(found - audio.loudness_db(sound, 32000)) < 0.05
