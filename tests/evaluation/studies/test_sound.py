import numpy as np
import pytest

from stemgen_jax.evaluation.studies import sound

RATE = 32000


def described(samples):
  return sound.describe(samples[:, None].astype(np.float32), RATE)


def test_a_tone():
  time = np.arange(2 * RATE) / RATE
  figures = described(0.5 * np.sin(2 * np.pi * 1000 * time))
  assert figures["level_db"] == pytest.approx(-9.03, abs=0.01)
  assert figures["centroid_hz"] == pytest.approx(1000, abs=5)
  assert figures["flatness"] < 0.01


def test_white_noise():
  noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
  figures = described(noise)
  assert figures["level_db"] == pytest.approx(-20, abs=0.1)
  assert figures["centroid_hz"] == pytest.approx(8000, abs=200)
  # exp(-Euler's constant), of an exponential distribution.
  assert figures["flatness"] == pytest.approx(0.56, abs=0.03)


def test_four_clicks_a_second():
  rng = np.random.default_rng(0)
  samples = np.zeros(4 * RATE)
  for beat in np.arange(0.1, 4, 0.25):
    start = round(beat * RATE)
    decay = np.exp(-np.arange(3000) / 500)
    samples[start : start + 3000] = 0.3 * rng.normal(size=3000) * decay
  assert described(samples)["onsets_per_second"] == pytest.approx(4, abs=0.3)


def test_silence():
  assert described(np.zeros(RATE))["level_db"] == -np.inf


def test_ranges_are_quantiles():
  stems = [{name: float(x) for name in sound.FIGURES} for x in range(101)]
  assert sound.ranges(stems)["level_db"] == [5, 50, 95]
