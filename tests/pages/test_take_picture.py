import os

import numpy as np
import pytest
from matplotlib import image

from stemgen_jax.audio import Audio
from stemgen_jax.pages import spectrogram, take_picture


def tone(frequency, seconds=1.0, rate=32000, channels=2):
  t = np.arange(round(seconds * rate)) / rate
  wave = np.sin(2 * np.pi * frequency * t).astype(np.float32)
  return Audio(np.repeat(wave[:, None], channels, axis=1), rate)


@pytest.mark.parametrize("frequency", [55, 440, 3000, 10000])
def test_a_tone_is_one_line_at_its_frequency_and_level(frequency):
  rows = spectrogram.spectrogram(tone(frequency))
  frequencies = np.geomspace(30, 16000, len(rows))
  middle = rows[:, rows.shape[1] // 2]
  loudest = frequencies[middle.argmax()]
  assert loudest == pytest.approx(frequency, rel=0.06)
  assert middle.max() == pytest.approx(0, abs=10)
  far = np.abs(np.log2(frequencies / frequency)) > 1
  assert middle[far].max() < -40


@pytest.mark.parametrize("seconds", [0.2, 3.0])
@pytest.mark.parametrize("rate", [8000, 96000])
def test_draws_a_lane_for_each_audio(tmp_path, seconds, rate):
  stem = tone(220, seconds, rate)
  full, alone = tmp_path / "full.png", tmp_path / "alone.png"
  take_picture.draw(full, stem, stem, stem, title="bass, seed 3")
  take_picture.draw(alone, None, stem, None, title="bass, seed 3")
  pixels = image.imread(full)
  assert pixels.shape[0] > 2 * image.imread(alone).shape[0]
  assert pixels[..., :3].std() > 0.05  # not one color
  assert sorted(os.listdir(tmp_path)) == ["alone.png", "full.png"]


def test_silence_is_drawn_dark(tmp_path):
  silence = Audio(np.zeros((8000, 1), np.float32), 8000)
  take_picture.draw(
    tmp_path / "a.png", silence, silence, silence, title="nothing"
  )
  pixels = image.imread(tmp_path / "a.png")[..., :3]
  assert pixels.std() > 0  # the labels
  assert pixels.mean() < 0.1
