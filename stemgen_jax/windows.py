"""Codes of any length from a model that sees one window at a time."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int

Decode = Callable[
  [
    Int[np.ndarray, "w q"],
    Int[np.ndarray, "w q"],
    Bool[np.ndarray, " w"],
    Bool[np.ndarray, " w"],
    int,
  ],
  Int[np.ndarray, "w q"],
]
"""(context, known, known_mask, valid, first frame) -> codes, in one window."""


def starts(frames: int, window: int) -> tuple[int, ...]:
  """First frames of the windows that cover `frames` frames.

  Windows lie half a window apart, so that each hears at least half a window
  of what it continues; the last one ends with the audio.
  """
  last = max(0, frames - window)
  return (*range(0, last, max(1, window // 2)), last)


def decode_long(
  decode: Decode, context: Int[np.ndarray, "t q"], window: int
) -> Int[np.ndarray, "t q"]:
  """Decodes window after window; shared frames are given to the next one.

  Every window has the same shape, so that one program serves all lengths: a
  shorter context is padded on the right, and marked so.

  Args:
    decode: samples the frames of one window that are valid and not known.
    context: codes of what is heard.
    window: frames of a window.
  """
  frames = len(context)
  padding = ((0, window), (0, 0))
  context = np.pad(context, padding)
  codes = np.zeros_like(context)
  done = 0
  for start in starts(frames, window):
    part = slice(start, start + window)
    numbers = np.arange(part.start, part.stop)
    codes[part] = decode(
      context[part], codes[part], numbers < done, numbers < frames, start
    )
    done = part.stop
  return codes[:frames]
