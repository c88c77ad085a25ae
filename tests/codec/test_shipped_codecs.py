"""The codecs in the package."""

import numpy as np
import pytest

from stemgen_jax import codec, paths
from stemgen_jax.codec.training import report

RATE = 32_000


@pytest.fixture(scope="module", params=paths.SHIPPED)
def shipped(request):
  return codec.load(request.param)


def plucked(seconds: float = 4.0) -> np.ndarray:
  """Return notes of eight decaying harmonics, [1, samples, 1]."""
  time = np.arange(int(seconds * RATE)) / RATE
  audio = np.zeros_like(time)
  for i, pitch in enumerate((45, 52, 57, 60, 64, 69, 57, 50)):
    since = time - i / 2
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    for n in range(1, 9):
      wave = np.sin(2 * np.pi * n * frequency * since) / n
      audio += (since > 0) * np.exp(-4 * n**0.5 * since.clip(0)) * wave
  audio *= 10 ** (-18 / 20) / np.sqrt(np.mean(audio**2))
  return audio[None, :, None].astype(np.float32)


def test_shape(shipped):
  assert shipped.name in paths.SHIPPED
  assert (shipped.sample_rate, shipped.channels) == (RATE, 1)
  assert (shipped.frame_rate, shipped.levels, shipped.codes_per_level) == (
    50,
    4,
    1024,
  )


def test_round_trip_keeps_level_and_time(shipped):
  audio = plucked()
  output = shipped.decode(shipped.encode(audio))[:, : audio.shape[1]]
  level = 10 * np.log10(np.mean(output**2) / np.mean(audio**2))
  assert abs(level) < 3
  before, after = audio[0, :, 0], output[0, :, 0]
  size = 2 * len(before)
  product = np.fft.rfft(after, size) * np.conj(np.fft.rfft(before, size))
  correlation = np.fft.irfft(product)
  lag = (int(correlation.argmax()) + len(before)) % size - len(before)
  assert abs(lag) <= 8  # a quarter of a millisecond
  assert report.si_sdr(output, audio)[0] > 0


def test_silence_stays_silent(shipped):
  silence = np.zeros((1, RATE, 1), np.float32)
  output = shipped.decode(shipped.encode(silence))
  assert np.sqrt(np.mean(output**2)) < 10 ** (-40 / 20)


def test_many_codes_are_used_and_repeatable(shipped):
  audio = plucked()
  codes = shipped.encode(audio)
  np.testing.assert_array_equal(shipped.encode(audio), codes)
  for level in range(shipped.levels):
    # The coarsest level of the band codec does not carry the decay of notes.
    least = 30 if (shipped.name, level) == ("band", 0) else 50
    assert len(np.unique(codes[..., level])) > least
