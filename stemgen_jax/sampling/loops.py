"""Codes of one period of a loop, whose end leads into its beginning."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int

from stemgen_jax.sampling import windows


def decode_loop(
  decode: windows.Decode,
  context: Int[np.ndarray, "t q"],
  window: int,
  known: Int[np.ndarray, "b t q"],
  free: Bool[np.ndarray, "t q"],
  seam: int,
) -> Int[np.ndarray, "b t q"]:
  """Decodes a period, then once more around its seam, with both sides heard.

  The second pass is rotated by half a period, which brings the seam into the
  middle. A period shorter than the window is heard in the middle of its own
  repetitions.

  Args:
    decode: see `windows.Decode`.
    context: codes of one period.
    window: frames of a window.
    known: codes to keep where not `free`.
    free: codes to sample.
    seam: frames on either side of the seam that are decoded again.
  """
  codes = known.copy()
  frames, number = len(context), 0
  for order, again in _passes(free, window, seam):
    first = (len(order) - frames) // 2
    inner = slice(first, first + frames)
    decoded = windows.decode_long(
      decode,
      context[order],
      window,
      codes[:, order],
      again,
      # So that the second pass has noise of its own.
      first_frame=number,
    )
    codes[:, order[inner]] = decoded[:, inner]
    number += len(order)
  return codes


def count_windows(free: Bool[np.ndarray, "t q"], window: int, seam: int) -> int:
  """Windows that `decode_loop` decodes."""
  return sum(
    len(windows.starts(again, window))
    for _, again in _passes(free, window, seam)
  )


def _passes(
  free: Bool[np.ndarray, "t q"], window: int, seam: int
) -> Iterator[tuple[Int[np.ndarray, " n"], Bool[np.ndarray, "n q"]]]:
  """Per pass the frames in the order they are heard, and what is sampled.

  Only the middle `t` of the `n` frames count, from frame `(n - t) // 2` on;
  the others are repetitions.
  """
  frames = len(free)
  length = max(frames, window)
  order = (np.arange(length) - (length - frames) // 2) % frames
  yield order, free[order]
  distance = np.minimum(np.arange(frames), np.arange(frames)[::-1])
  again = free & (distance < min(seam, frames // 4))[:, None]
  order = (order + frames // 2) % frames
  if again.any():
    yield order, again[order]
