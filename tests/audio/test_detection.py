"""Tests of the detection of tempo, beats and key."""

import numpy as np
import pytest

from stemgen_jax import paths
from stemgen_jax.audio import Audio, files, key, tempo

RATE = 16000
SECONDS = 8


def drums(bpm, seed=0):
  """Return bursts of noise on beats, weaker ones between, first at 0.1 s."""
  rng = np.random.default_rng(seed)
  sound = 1e-4 * rng.standard_normal(SECONDS * RATE + RATE)
  hit = rng.standard_normal(RATE // 10) * np.exp(-np.arange(RATE // 10) / 200)
  times = np.arange(0.1, SECONDS, 30 / bpm)
  for number, time in enumerate(times):
    at = round(time * RATE)
    sound[at : at + len(hit)] += hit * (0.01 if number % 2 else 0.3)
  return times[::2], Audio(sound[: SECONDS * RATE, None].astype("f4"), RATE)


def chords(roots, minor=(), tune=0):
  """Return triads of notes with overtones, one a second, over bass notes."""
  t = np.arange(RATE) / RATE
  sound = []
  for root in roots:
    third = 3 if root in minor else 4
    notes = [root - 12, root + 12, root + 12 + third, root + 19]
    lower = 60 + (tune - 12 if tune > 5 else tune) - 69
    hertz = [440 * 2 ** ((lower + note) / 12) for note in notes]
    sound.append(
      sum(np.sin(2 * np.pi * f * k * t) / k**2 for f in hertz for k in (1, 2))
      * np.exp(-t)
    )
  whole = 0.05 * np.concatenate(sound)
  return Audio(whole[:, None].astype(np.float32), RATE)


@pytest.mark.parametrize("bpm", [72, 100, 123.4, 140])
def test_tempo_and_beats_of_drums(bpm):
  times, sound = drums(bpm)
  found = tempo.of(sound)
  factor = found.bpm / bpm
  assert min(abs(factor / x - 1) for x in (0.5, 1, 2)) < 0.01
  assert found.confidence >= tempo.CLEAR
  if abs(factor - 1) < 0.04:
    # [found, times]: every beat but the ends is near a hit.
    apart = np.abs(found.beats[1:-1, None] - times).min(axis=1)
    assert apart.max() < 0.04


@pytest.mark.parametrize(
  "sound",
  [
    np.zeros(SECONDS * RATE),
    0.1 * np.sin(np.arange(SECONDS * RATE) / 9),
    np.random.default_rng(0).standard_normal(SECONDS * RATE) * 0.1,
    np.ones(RATE // 5),
  ],
)
def test_nothing_is_clear_without_rhythm_and_notes(sound):
  sound = Audio(sound[:, None].astype(np.float32), RATE)
  assert tempo.of(sound).confidence < tempo.CLEAR
  assert key.of(sound).confidence < key.CLEAR


@pytest.mark.parametrize("tune", [0, 3, 8])
def test_keys_of_progressions(tune):
  major = chords([0, 5, 7, 0, 9, 5, 7, 0], minor=[9], tune=tune)
  assert key.of(major).name == f"{key.TONES[tune]} major"
  minor = chords([0, 5, 7, 0, 8, 10, 7, 0], minor=[0, 5, 7], tune=tune)
  assert key.of(minor).name == f"{key.TONES[tune]} minor"


def test_demo_loops_have_their_tempo():
  for name in ("drums", "chords"):
    found = tempo.of(files.read(paths.LOOPS / f"{name}.flac"))
    assert min(abs(found.bpm / x - 1) for x in (60, 120, 240)) < 0.01
    assert found.confidence >= tempo.CLEAR


def test_two_seconds_of_a_loop_have_no_clear_tempo():
  loop = files.read(paths.LOOPS / "drums.flac")
  cut = Audio(loop.samples[: 2 * loop.sample_rate], loop.sample_rate)
  assert tempo.of(cut).confidence < tempo.CLEAR
