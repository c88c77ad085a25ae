"""Codes of any length from a model that sees one window at a time."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int

Decode = Callable[
  [
    Int[np.ndarray, "w q"],
    Int[np.ndarray, "b w q"],
    Bool[np.ndarray, "w q"],
    Bool[np.ndarray, " w"],
    int,
  ],
  Int[np.ndarray, "b w q"],
]
"""(context, known, free, valid, first frame) -> codes, in one window."""


def starts(free: Bool[np.ndarray, "t q"], window: int) -> tuple[int, ...]:
  """First frames of the windows in which the free codes are decoded.

  A short run of free frames lies in the middle of one window. In a longer one
  windows lie half a window apart, so that each hears at least half a window
  of what it continues, where there is as much.
  """
  left, frames = np.logical_or.reduce(free, axis=1), len(free)
  half, latest = max(1, window // 2), max(0, frames - window)
  found = []
  while left.any():
    first = int(left.argmax())
    run = left[first:]
    end = frames if run.all() else first + int(run.argmin())
    if end - first <= half and frames > window:
      place = first - (window - (end - first)) // 2
      new = (min(max(place, 0), latest),)
    else:
      begin = min(max(first - half, 0), latest)
      last = max(begin, min(latest, end - half))
      new = (*range(begin, last, half), last)
    for start in new:
      left[start : start + window] = False
    found += new
  return tuple(found)


def decode_long(
  decode: Decode,
  context: Int[np.ndarray, "t q"],
  window: int,
  known: Int[np.ndarray, "b t q"],
  free: Bool[np.ndarray, "t q"],
  *,
  first_frame: int = 0,
) -> Int[np.ndarray, "b t q"]:
  """Decodes window after window; shared frames are given to the next one.

  Every window has the same shape, so that one program serves all lengths: a
  shorter context is padded on the right, and marked so.

  Args:
    decode: samples the codes of one window that are valid and free.
    context: codes of what is heard.
    window: frames of a window.
    known: codes to keep where not `free`.
    free: codes to sample.
    first_frame: absolute number of the first frame.
  """
  frames = len(context)
  plan = starts(free, window)
  context = np.pad(context, ((0, window), (0, 0)))
  codes = np.pad(known, ((0, 0), (0, window), (0, 0)))
  left = np.pad(free, ((0, window), (0, 0)))
  for start in plan:
    part = slice(start, start + window)
    valid = np.arange(part.start, part.stop) < frames
    new = decode(
      context[part], codes[:, part], left[part], valid, first_frame + start
    )
    codes[:, part] = np.where(left[part], new, codes[:, part])
    left[part] = False
  return codes[:, :frames]
