import numpy as np
import pytest

from stemgen_jax.evaluation.metrics import phase, rhythm

BARS = np.arange(-1.0, 10.0, 2.0)  # one downbeat before the first frame


def strength(slots, noise=0.0, late=0):
  """Return the onset strength of 8 s with attacks in these slots of a bar."""
  times = np.arange(round(8 * rhythm.FRAME_RATE)) / rhythm.FRAME_RATE
  found = noise * np.random.default_rng(0).uniform(size=len(times))
  for slot, force in slots.items():
    for bar in BARS:
      at = bar + 2.0 * (slot + late) / phase.SLOTS
      found += force * np.exp(-(((times - at) / 0.02) ** 2))
  return found


ROCK = {0: 1.0, 4: 0.8, 8: 0.9, 10: 0.5, 12: 0.8}


def in_phase(stem, real=ROCK, **options):
  return phase.metrical_phase(
    phase.profile(strength(stem, **options), BARS),
    phase.profile(strength(real), BARS),
  )


def test_only_the_true_shift_counts():
  assert in_phase(ROCK, noise=0.1) == 1
  assert in_phase({0: 1.0, 10: 1.0}) == 1
  for late in (1, 2, 4, 8):
    assert in_phase(ROCK, late=late) == 0
  assert in_phase(ROCK, late=phase.SLOTS) == 1  # a bar cannot be seen


def test_ties_and_silence_are_misses():
  beats = dict.fromkeys((0, 4, 8, 12), 1.0)
  assert in_phase(beats, beats) == 0  # right on every beat
  assert in_phase({}) == 0
  assert np.isnan(in_phase(ROCK, {}))


def test_profile_by_hand():
  found = phase.profile(strength({4: 1.0}), BARS)
  assert found.argmax() == 4
  assert found.sum() == pytest.approx(0, abs=1e-6)
  assert np.linalg.norm(found) == pytest.approx(1)
