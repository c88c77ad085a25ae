import mir_eval
import numpy as np
import pytest

from stemgen_jax.data.sources.band.rhythm import METERS, Clock
from stemgen_jax.evaluation.metrics import rhythm

RATE = 22050
BEATS = np.arange(0.4, 9.6, 0.5)
FOUR = rhythm.Grid(4)


def clicks(times, seconds=10.0):
  rng = np.random.default_rng(0)
  samples = np.zeros(round(seconds * RATE))
  for time in times:
    first = round(time * RATE)
    burst = rng.normal(size=2000) * np.exp(-np.arange(2000) / 400)
    samples[first : first + 2000] += 0.3 * burst[: len(samples) - first]
  return samples.astype(np.float32)


def test_beats_of_clicks_and_none_in_silence():
  found = rhythm.beats(clicks(BEATS), RATE)
  assert rhythm.beat_f1(BEATS, found) > 0.9
  assert len(rhythm.beats(np.zeros(RATE, np.float32), RATE)) == 0
  assert len(rhythm.pulse(np.zeros(RATE, np.float32), RATE).onsets) == 0


def test_onsets_of_clicks_are_in_time():
  found = rhythm.pulse(clicks(BEATS), RATE).onsets
  assert len(found) == len(BEATS)
  np.testing.assert_allclose(found, BEATS, atol=0.02)


def test_beat_f1_is_mir_evals_at_the_same_level():
  found = BEATS + np.where(np.arange(len(BEATS)) % 3 == 0, 0.1, 0.01)
  expected = mir_eval.beat.f_measure(BEATS, found)
  assert 0.5 < expected < 0.8
  assert rhythm.beat_f1(BEATS, found) == pytest.approx(expected)


def test_half_double_and_off_beats_count_but_other_tempi_do_not():
  for kept in (BEATS[::2], BEATS[1::2], BEATS[:-1] + 0.25):
    assert rhythm.beat_f1(BEATS, kept) == 1
  double = np.sort(np.concatenate([BEATS, BEATS[:-1] + 0.25]))
  assert rhythm.beat_f1(BEATS, double) == 1
  assert rhythm.beat_f1(BEATS, np.arange(0.4, 9.6, 0.43)) < 0.6
  assert rhythm.beat_f1(BEATS, np.zeros(0)) == 0
  assert np.isnan(rhythm.beat_f1(np.zeros(0), BEATS))


def test_grid_agreement_by_hand():
  # Sixteenths at 120 bpm are 0.125 s apart.
  assert rhythm.grid_agreement(BEATS, BEATS + 0.125, FOUR) == pytest.approx(1)
  assert rhythm.grid_agreement(BEATS, BEATS + 0.0625, FOUR) == pytest.approx(-1)
  assert rhythm.grid_agreement(BEATS, BEATS + 0.125 / 4, FOUR) == pytest.approx(
    0, abs=1e-9
  )
  sixth = BEATS + 0.5 / 6
  assert rhythm.grid_agreement(BEATS, sixth, rhythm.Grid(6)) == pytest.approx(1)
  # The grid is extrapolated before and after the beats.
  outside = np.array([0.4 - 0.25, 9.4 + 0.375])
  assert rhythm.grid_agreement(BEATS, outside, FOUR) == pytest.approx(1)


def test_random_and_missing_onsets_have_no_agreement():
  random = np.random.default_rng(0).uniform(0, 10, 2000)
  assert abs(rhythm.grid_agreement(BEATS, random, FOUR)) < 0.05
  assert rhythm.grid_agreement(BEATS, np.zeros(0), FOUR) == 0
  assert np.isnan(rhythm.grid_agreement(BEATS[:1], random, FOUR))


@pytest.mark.parametrize("pair", [4, 2])
def test_the_grid_has_the_bands_swing(pair):
  clock = Clock(METERS["4/4"], 120, 0.66, pair)
  onsets = np.array([clock.seconds(step) for step in range(64)])
  swung = rhythm.Grid(4, 0.66, pair / 4)
  assert rhythm.grid_agreement(onsets[::4], onsets, swung) == pytest.approx(1)
  assert rhythm.grid_agreement(onsets[::4], onsets, FOUR) < 0.6
