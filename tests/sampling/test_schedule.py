"""Tests of the schedule."""

import jax.numpy as jnp
import numpy as np
import pytest

from stemgen_jax.sampling import schedule

TOTAL = np.arange(0, 3001)


def _masked_after(done, steps):
  return np.asarray(schedule.masked_after(done, steps, jnp.asarray(TOTAL)))


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 16, 128])
def test_follows_the_cosine_from_all_to_none(steps):
  left = [_masked_after(done, steps) for done in range(steps + 1)]
  assert (np.diff(left, axis=0) <= 0).all()
  np.testing.assert_array_equal(left[0], TOTAL)
  np.testing.assert_array_equal(left[-1], 0)
  for done in range(1, steps):
    exact = TOTAL * np.cos(np.pi / 2 * done / steps)
    # Products within rounding of an integer may fall on either side.
    clear = np.abs(exact - np.round(exact)) > 0.01
    np.testing.assert_array_equal(left[done][clear], np.floor(exact)[clear])


@pytest.mark.parametrize("form", ["linear", "square", "root"])
@pytest.mark.parametrize("steps", [1, 7, 64])
def test_the_other_forms_fall_from_all_to_none(form, steps):
  left = np.stack(
    [
      schedule.masked_after(done, steps, jnp.asarray(TOTAL), form)
      for done in range(steps + 1)
    ]
  )
  np.testing.assert_array_equal(left[0], TOTAL)
  np.testing.assert_array_equal(left[-1], 0)
  assert (np.diff(left, axis=0) <= 0).all()


def test_half_of_an_even_number_is_exact():
  np.testing.assert_array_equal(_masked_after(2, 3), TOTAL // 2)
