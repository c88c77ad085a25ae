"""Tests of removing offsets and clicks, and of keeping everything else."""

import numpy as np
import pytest

from stemgen_jax import audio, paths

RATE = 8000
SILENCE_DB = -90.0


def tone(hertz, seconds=2.0, level=0.3):
  t = np.arange(round(seconds * RATE)) / RATE
  return (level * np.sin(2 * np.pi * hertz * t + 1))[:, None].astype(np.float32)


@pytest.mark.parametrize("offset", [0.05, -0.3])
@pytest.mark.parametrize("seconds", [0.2, 2.0])
def test_an_offset_is_removed(offset, seconds):
  music = tone(220, seconds)
  both = np.concatenate([music, music + np.float32(offset)], axis=1)
  found = audio.offset(both, RATE)
  assert found[0] == 0
  assert found[1] == pytest.approx(offset, abs=0.01)
  clean = audio.without_offset(both, RATE)
  np.testing.assert_array_equal(clean[:, 0], both[:, 0])
  assert np.abs(clean[:, 1] - clean[:, 0]).max() < 0.01


def test_music_without_an_offset_stays_as_it_is():
  low = [tone(hertz, seconds) for hertz in (30, 41, 55) for seconds in (0.2, 2)]
  kick = tone(45, 1.0, 0.9) * np.exp(-np.arange(RATE) / 900)[:, None]
  loops = [audio.read(paths.LOOPS / f"{x}.flac") for x in ("drums", "chords")]
  sounds = [(x.astype(np.float32), RATE) for x in (*low, kick)]
  sounds += [(loop.samples, loop.sample_rate) for loop in loops]
  for samples, rate in sounds:
    assert audio.without_offset(samples, rate) is samples
    assert audio.without_clicks(samples, rate, SILENCE_DB) is samples


def test_the_mean_of_asymmetric_waves_is_no_offset():
  t = np.arange(2 * RATE) / RATE
  chord = sum(np.sin(2 * np.pi * hertz * t + 1) for hertz in (110, 165, 220))
  notes = np.exp(-5 * (t % 0.5))
  for wave in (
    np.where((t * 110) % 1 < 0.25, 0.5, 0) * (t % 0.5 < 0.4),  # with rests
    np.where((t * 110) % 1 < 0.25, 0.3, -0.3),
    0.3 * np.tanh(3 * chord + 0.5),
    0.3 * (np.tanh(3 * notes * chord + 0.5) - np.tanh(0.5)),
    0.1 * chord + 0.2 * np.sin(2 * np.pi * 0.4 * t),  # drifts
  ):
    samples = wave[:, None].astype(np.float32)
    assert audio.without_offset(samples, RATE) is samples
  # Played notes, recorded with an offset.
  music = (0.1 * notes * chord)[:, None].astype(np.float32)
  clean = audio.without_offset(music + np.float32(0.04), RATE)
  np.testing.assert_allclose(clean, music, atol=0.01)


def test_a_click_in_silence_is_silence():
  minute = np.zeros((60 * RATE, 2), np.float32)
  minute[1234] = 0.9
  assert not audio.without_clicks(minute, RATE, SILENCE_DB).any()
  minute += np.random.default_rng(0).normal(0, 2e-6, minute.shape)
  assert not audio.without_clicks(minute, RATE, SILENCE_DB).any()
  # A note in a minute of silence is music.
  minute[RATE : 2 * RATE] = tone(220, 1.0, 0.01)
  assert audio.without_clicks(minute, RATE, SILENCE_DB) is minute
