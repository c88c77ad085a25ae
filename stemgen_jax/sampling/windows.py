"""Decode audio of any length with a model that sees one window at a time."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int, Shaped

Decode = Callable[..., Int[np.ndarray, "b w q"]]
"""(context, known, known_mask, valid, first frame) -> codes of one window.

Arguments are positional: context `[w, q]`, known `[b, w, q]`, known_mask
`[w, q]`, valid `[w]`, and the absolute number of the first frame.
"""


def starts(
  known_mask: Bool[np.ndarray, "t q"], window: int, step: int = 1
) -> tuple[int, ...]:
  """Return the first frames of windows that cover all unknown codes.

  A short run of unknown frames is in the middle of one window. A longer run
  takes windows half a window apart, so that each of them sees at least half a
  window of the codes that it continues, where there are that many.

  Args:
    known_mask: True for codes that need no sampling.
    window: frames of a window, a multiple of `step`.
    step: frames of a segment; windows begin with one.
  """
  pending = np.logical_or.reduce(~known_mask, axis=1)  # [t]
  if step > 1:  # in segments
    pending = np.logical_or.reduceat(pending, range(0, len(pending), step))
    return tuple(
      step * start for start in starts(~pending[:, None], window // step)
    )
  frames = len(pending)
  half, latest = max(1, window // 2), max(0, frames - window)
  found = []
  while pending.any():
    first = int(pending.argmax())
    run = pending[first:]
    end = frames if run.all() else first + int(run.argmin())
    if end - first <= half and frames > window:
      centered = first - (window - (end - first)) // 2
      new = (min(max(centered, 0), latest),)
    else:
      begin = min(max(first - half, 0), latest)
      last = max(begin, min(latest, end - half))
      new = (*range(begin, last, half), last)
    # A window may also cover later runs, which then need none of their own.
    for start in new:
      pending[start : start + window] = False
    found += new
  return tuple(found)


def decode_long(
  decode: Decode,
  context: Shaped[np.ndarray, "t _"],
  window: int,
  known: Int[np.ndarray, "b t q"],
  known_mask: Bool[np.ndarray, "t q"],
  *,
  first_frame: int = 0,
  step: int = 1,
) -> Int[np.ndarray, "b t q"]:
  """Decode window after window; codes of earlier windows are known to later.

  Args:
    decode: function that samples the unknown codes of one window.
    context: codes of the context, or its spectrum.
    window: frames of a window.
    known: codes to keep where `known_mask` is True.
    known_mask: True where `known` is kept, False where codes are sampled.
    first_frame: absolute number of the first frame.
    step: see `starts`.
  """
  frames = len(context)
  plan = starts(known_mask, window, step)
  # All windows have one shape, so that one program is compiled: pad the right
  # by a window of frames that are not valid and need no sampling.
  context = np.pad(context, ((0, window), (0, 0)))
  codes = np.pad(known, ((0, 0), (0, window), (0, 0)))
  known_mask = np.pad(known_mask, ((0, window), (0, 0)), constant_values=True)
  for start in plan:
    part = slice(start, start + window)
    valid = np.arange(part.start, part.stop) < frames
    new = decode(
      context[part],
      codes[:, part],
      known_mask[part],
      valid,
      first_frame + start,
    )
    codes[:, part] = np.where(known_mask[part], codes[:, part], new)
    known_mask[part] = True
  return codes[:, :frames]
