"""Tests of the windows."""

import numpy as np
import pytest

from stemgen_jax import windows

WINDOW = 20
LENGTHS = [1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 66, 1000]


@pytest.mark.parametrize("frames", LENGTHS)
def test_every_frame_is_sampled_once_and_shared_frames_are_kept(frames):
  context = np.arange(frames * 2).reshape(frames, 2)
  sampled = np.zeros(frames, int)

  def decode(heard, known, known_mask, valid, start):
    assert heard.shape == known.shape == (WINDOW, 2)
    numbers = np.arange(start, start + WINDOW)
    inside = numbers[valid]
    np.testing.assert_array_equal(heard[valid], context[inside])
    np.testing.assert_array_equal(
      known[known_mask & valid, 0], numbers[known_mask & valid] + 1
    )
    new = numbers[valid & ~known_mask]
    sampled[new] += 1
    return np.stack([numbers + 1, numbers + 1], axis=1) * valid[:, None]

  codes = windows.decode_long(decode, context, WINDOW)
  np.testing.assert_array_equal(codes[:, 0], np.arange(frames) + 1)
  np.testing.assert_array_equal(sampled, 1)


@pytest.mark.parametrize("frames", LENGTHS[3:])
def test_a_window_continues_at_least_half_a_window(frames):
  starts = windows.starts(frames, WINDOW)
  assert starts[0] == 0
  assert starts[-1] == frames - WINDOW
  assert min(np.diff(starts)) >= 1
  assert max(np.diff(starts)) <= WINDOW // 2
