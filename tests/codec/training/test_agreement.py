"""Onset and chroma agreement of sounds with known notes."""

import numpy as np
import pytest

from stemgen_jax.codec.training import agreement

RATE = 32_000


def notes(pitches, starts, seconds=3.0):
  """Return decaying tones."""
  time = np.arange(int(seconds * RATE)) / RATE
  sound = np.zeros_like(time)
  for pitch, start in zip(pitches, starts):
    since = time - start
    wave = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * since)
    sound += (since >= 0) * np.exp(-3 * since.clip(0)) * wave
  return (0.3 * sound).astype(np.float32)


STARTS = (0.5, 1.0, 1.5, 2.0)


@pytest.mark.parametrize(
  ("starts", "expected"),
  [
    (STARTS, 1.0),
    ((0.53, 1.03, 1.53, 2.03), 1.0),
    ((0.5, 1.0), 2 / 3),
    ((0.75, 1.25, 1.75, 2.25), 0.0),
    ((), 0.0),
  ],
)
def test_onsets(starts, expected):
  target = notes([60] * 4, STARTS)
  output = notes([60] * len(starts), starts)
  value = agreement.onset_f1(output, target, RATE)
  assert value == pytest.approx(expected, abs=0.01)


def test_pitch_classes():
  target = notes((60, 64, 67, 60), STARTS)
  octave = notes((72, 76, 79, 72), STARTS)
  semitone = notes((61, 65, 68, 61), STARTS)
  assert agreement.chroma_cosine(target, target, RATE) > 0.999
  assert agreement.chroma_cosine(octave, target, RATE) > 0.9
  assert agreement.chroma_cosine(semitone, target, RATE) < 0.5


def test_silence_has_neither():
  silence = np.zeros(2 * RATE, np.float32)
  assert np.isnan(agreement.onset_f1(silence, silence, RATE))
  assert np.isnan(agreement.chroma_cosine(silence, silence, RATE))
