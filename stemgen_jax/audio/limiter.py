"""Limit single peaks of a stem, on its own and in the mix with its context."""

import numpy as np
from jaxtyping import Float32

from stemgen_jax.audio.sound import CEILING

MIX_DB = 3.0
"""Single peaks of a stem raise no mix by more than this above full scale."""

# Peaks up to 5 dB above the RMS of a second are not single ones. The mixes of
# 93 % of 76 drums and basses for recordings are then lowered by at most 3 dB;
# 58 % without a limiter (measured).
_SUSTAINED_DB = 5.0
_SUSTAINED_SECONDS = 1.0

_LOOK_AHEAD_SECONDS = 0.01


def limit(
  stem: Float32[np.ndarray, "n c"],
  sample_rate: int,
  context: Float32[np.ndarray, "n c"] | None = None,
  *,
  loop: bool = False,
) -> Float32[np.ndarray, "n c"]:
  """Lower a stem briefly around the peaks that exceed a limit.

  The stem is limited to -0.1 dBFS, and its mix with the context to `MIX_DB`
  above that. But peaks are kept up to 5 dB above the RMS around them: limiting
  a stem that is too loud as a whole would distort it.

  Args:
    stem: samples of the stem.
    sample_rate: their sample rate in Hz.
    context: samples that the stem is mixed with; None if they are not known.
    loop: the stem is one period of a loop.

  Returns:
    `stem` itself if no sample exceeds a limit.
  """
  if context is None:
    context = np.zeros_like(stem)
  # By how much the stem may grow in the direction that it has, [n, c].
  room = CEILING * 10 ** (MIX_DB / 20) - context * np.sign(stem)
  room = np.minimum(room, CEILING)
  level = np.abs(stem, dtype=np.float64)
  if not (level > room).any():
    return stem
  # Imported here: it takes a third of a second, and few stems need it.
  from scipy import ndimage

  mode = "wrap" if loop else "reflect"
  power = np.square(level).mean(axis=1)  # [n]
  around = ndimage.uniform_filter1d(
    power, round(_SUSTAINED_SECONDS * sample_rate), mode=mode
  )
  sustained = np.sqrt(around.clip(0) * 10 ** (_SUSTAINED_DB / 10))
  room = np.maximum(room, sustained[:, None])
  needed = (room / np.maximum(level, room)).min(axis=1)  # [n]
  # A peak spreads by half of the look-ahead in the minimum, then in the means.
  step = max(1, round(_LOOK_AHEAD_SECONDS * sample_rate / 4))
  gain = ndimage.minimum_filter1d(needed, 4 * step + 1, mode=mode)
  for _ in range(2):  # twice: no jump in its slope
    gain = ndimage.uniform_filter1d(gain, 2 * step + 1, mode=mode)
  # Rounding of the running means must not exceed the limit.
  gain = np.minimum(gain, needed)[:, None]  # [n, 1]
  return (stem * gain).astype(np.float32)
