"""Tests of the decoding of loops."""

import numpy as np
import pytest

from stemgen_jax.sampling import loops

WINDOW, SEAM = 20, 4


@pytest.mark.parametrize("frames", [3, 7, 19, 20, 21, 50])
def test_the_seam_is_decoded_last_with_both_its_sides_known(frames):
  context = np.arange(frames)[:, None]
  seen = []

  def decode(context, known, known_mask, valid, start):
    assert valid.all()
    # Frames follow each other everywhere, around the seam too.
    np.testing.assert_array_equal((np.diff(context[:, 0]) - 1) % frames, 0)
    seen.append((context[:, 0], known[0, :, 0], known_mask[:, 0].copy(), start))
    return np.full((1, WINDOW, 1), len(seen))

  codes = loops.decode_loop(
    decode,
    context,
    WINDOW,
    np.zeros((1, frames, 1), int),
    np.zeros((frames, 1), bool),
    SEAM,
  )[0, :, 0]
  near = min(SEAM, frames // 4)
  assert (codes > 0).all()
  last = codes == len(seen)
  if near:
    assert last[:near].all()
    assert last[-near:].all()
    assert last.sum() == 2 * near
    context, known, known_mask, start = seen[-1]
    assert len(np.unique(context[~known_mask])) == 2 * near
    assert (known[known_mask] > 0).all()
    assert start >= max(frames, WINDOW)  # noise that no other pass has
  if frames <= WINDOW:  # one for the period and one for its seam
    assert len(seen) == 1 + (near > 0)


def test_known_codes_stay_also_at_the_seam():
  known = np.arange(50).reshape(1, 50, 1)
  known_mask = np.ones((50, 1), bool)
  known_mask[45:48] = known_mask[20:22] = False

  def decode(context, known, known_mask, valid, start):
    return np.full(known.shape, -1)

  codes = loops.decode_loop(decode, known[0], WINDOW, known, known_mask, SEAM)
  np.testing.assert_array_equal(codes, np.where(known_mask, known, -1))
