import numpy as np
import pytest

from stemgen_jax import audio
from stemgen_jax.audio import Audio

RATE = 32000
STARTS = (0.0, 1.4, 3.998)  # at both ends, too


def _bursts(level):
  """Four seconds of a quiet tone with three bursts of 2 ms."""
  time = np.arange(4 * RATE) / RATE
  tone = 0.1 * np.sin(2 * np.pi * 110 * time)
  for start in STARTS:
    tone[(time >= start) & (time < start + 0.002)] *= level / 0.1
  return tone[:, None].astype(np.float32)


def _mastered():
  noise = np.random.default_rng(0).normal(size=(4 * RATE, 1))
  return np.clip(0.5 * noise, -1, 1).astype(np.float32)


def test_sound_below_the_limit_is_returned_itself():
  stem = _bursts(0.95)
  assert audio.limit(stem, RATE) is stem
  assert audio.limit(stem, RATE, 0.4 * _mastered()) is stem


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("mastered", [False, True])
def test_bursts_are_limited_and_the_rest_is_kept(mastered, loop):
  stem = _bursts(3.0)
  context = _mastered() if mastered else np.zeros_like(stem)
  limited = audio.limit(stem, RATE, context, loop=loop)
  assert np.abs(limited).max() <= audio.CEILING
  _, before_db = audio.mix(Audio(context, RATE), Audio(stem, RATE))
  _, gain_db = audio.mix(Audio(context, RATE), Audio(limited, RATE))
  assert before_db < -9
  assert gain_db > -3.01
  # Nothing changes more than 10 ms before or after a peak.
  far = np.ones(len(stem), bool)
  for start in STARTS:
    first, last = round(start * RATE), round((start + 0.002) * RATE)
    far[max(0, first - 330) : last + 330] = False
  np.testing.assert_array_equal(limited[far], stem[far])
  audible = np.abs(stem[:, 0]) > 0.01
  steps = np.abs(np.diff(limited[audible, 0] / stem[audible, 0]))
  assert steps.max() < 0.1  # no click: it would be a jump by three quarters


def test_a_stem_that_is_too_loud_as_a_whole_is_not_distorted():
  tone = np.sin(2 * np.pi * 110 * np.arange(RATE) / RATE)[:, None]
  tone = 2 * tone.astype(np.float32)
  np.testing.assert_array_equal(audio.limit(tone, RATE, tone), tone)
  short = tone[:6400]
  np.testing.assert_array_equal(audio.limit(short, RATE, loop=True), short)
