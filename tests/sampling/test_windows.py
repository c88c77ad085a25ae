"""Tests of the windows."""

import numpy as np
import pytest

from stemgen_jax.sampling import windows

WINDOW = 20
LENGTHS = [1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 66, 1000]


@pytest.mark.parametrize("frames", LENGTHS)
def test_every_frame_is_sampled_once_and_shared_frames_are_kept(frames):
  context = np.arange(frames * 2).reshape(frames, 2)
  sampled = np.zeros(frames, int)

  def decode(seen, known, known_mask, valid, start):
    assert seen.shape == known_mask.shape == (WINDOW, 2)
    numbers = np.arange(start, start + WINDOW)
    inside = numbers[valid]
    np.testing.assert_array_equal(seen[valid], context[inside])
    given = valid & known_mask[:, 0]
    np.testing.assert_array_equal(known[0, given, 0], numbers[given] + 1)
    sampled[numbers[valid & ~known_mask[:, 0]]] += 1
    return (np.stack([numbers + 1, numbers + 1], axis=1) * valid[:, None])[None]

  codes = windows.decode_long(
    decode,
    context,
    WINDOW,
    np.zeros((1, frames, 2), int),
    np.zeros((frames, 2), bool),
  )
  np.testing.assert_array_equal(codes[0, :, 0], np.arange(frames) + 1)
  np.testing.assert_array_equal(sampled, 1)


@pytest.mark.parametrize("frames", LENGTHS[3:])
def test_a_window_continues_at_least_half_a_window(frames):
  starts = windows.starts(np.zeros((frames, 2), bool), WINDOW)
  assert starts[0] == 0
  assert starts[-1] == frames - WINDOW
  assert min(np.diff(starts)) >= 1
  assert max(np.diff(starts)) <= WINDOW // 2


@pytest.mark.parametrize(
  ("unknown", "starts"),
  [
    ([], ()),
    ([(40, 46)], (33,)),  # in the middle
    ([(0, 4)], (0,)),
    ([(96, 100)], (80,)),
    ([(40, 41), (45, 46), (70, 71)], (31, 61)),
    ([(40, 70)], (30, 40, 50, 60)),
    ([(50, 100)], (40, 50, 60, 70, 80)),
  ],
)
def test_windows_are_around_unknown_frames(unknown, starts):
  known_mask = np.ones((100, 1), bool)
  for first, last in unknown:
    known_mask[first:last] = False
  assert windows.starts(known_mask, WINDOW) == starts


def test_only_unknown_codes_are_sampled_at_each_level():
  rng = np.random.default_rng(0)
  known_mask = rng.random((66, 3)) >= 0.3
  known = rng.integers(0, 9, (2, 66, 3))

  def decode(context, known, known_mask, valid, start):
    return np.full(known.shape, 99)

  codes = windows.decode_long(decode, known[0], WINDOW, known, known_mask)
  np.testing.assert_array_equal(codes, np.where(known_mask, known, 99))
