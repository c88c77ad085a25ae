"""Decode one period of a loop, whose end leads into its beginning."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int, Shaped

from stemgen_jax.sampling import windows


def decode_loop(
  decode: windows.Decode,
  context: Shaped[np.ndarray, "t _"],
  window: int,
  known: Int[np.ndarray, "b t q"],
  known_mask: Bool[np.ndarray, "t q"],
  seam: int,
) -> Int[np.ndarray, "b t q"]:
  """Decode a period, then again around its seam with both sides known.

  The second pass is rotated by half a period, which brings the seam into the
  middle. A period shorter than the window is in the middle of its own
  repetitions.

  Args:
    decode: see `windows.Decode`.
    context: codes of one period, or its spectrum.
    window: frames of a window.
    known: codes to keep where `known_mask` is True.
    known_mask: True where `known` is kept, False where codes are sampled.
    seam: frames on either side of the seam that are decoded again.
  """
  codes = known.copy()
  frames, number = len(context), 0
  for order, pass_mask in _passes(known_mask, window, seam):
    first = (len(order) - frames) // 2
    inner = slice(first, first + frames)
    decoded = windows.decode_long(
      decode,
      context[order],
      window,
      codes[:, order],
      pass_mask,
      # Noise depends on the frame number: the second pass needs other numbers.
      first_frame=number,
    )
    codes[:, order[inner]] = decoded[:, inner]
    number += len(order)
  return codes


def _passes(
  known_mask: Bool[np.ndarray, "t q"], window: int, seam: int
) -> Iterator[tuple[Int[np.ndarray, " n"], Bool[np.ndarray, "n q"]]]:
  """Yield per pass the order of the frames and the known mask in that order.

  Only the middle t of the n frames count, from frame (n - t) // 2 on; the
  others are repetitions.
  """
  frames = len(known_mask)
  length = max(frames, window)
  order = (np.arange(length) - (length - frames) // 2) % frames  # [n]
  yield order, known_mask[order]
  # Distance from the seam, which is between the last frame and the first.
  distance = np.minimum(np.arange(frames), np.arange(frames)[::-1])
  far = distance >= min(seam, frames // 4)
  known_mask = known_mask | far[:, None]
  order = (order + frames // 2) % frames
  if not known_mask.all():
    yield order, known_mask[order]
