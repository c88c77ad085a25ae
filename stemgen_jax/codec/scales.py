"""How loud a generated stem is, segment by segment, for codecs with scales.

EnCodec 48 kHz keeps the level of each second beside the codes. A model predicts
codes alone, so a stem's scales are taken from the music it plays along with.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

_SILENT = 1e-3  # -60 dB: neither heard nor counted
_BREAK = 10 ** (-12 / 20)


def log_ratios(
  target: Float32[np.ndarray, "*n segments"],
  context: Float32[np.ndarray, "*n segments"],
) -> Float32[np.ndarray, " m"]:
  """Natural logarithms of target / context where both are audible."""
  audible = (target > _SILENT) & (context > _SILENT)
  return np.log(target[audible] / context[audible])


def of_stem(
  context: Float32[np.ndarray, " segments"],
  category: str,
  ratios: Mapping[str, float],
  usual: float,
) -> Float32[np.ndarray, " segments"]:
  """Scales for a stem that is played to a context.

  They are the context's, times how much louder or quieter stems of the
  category were than their contexts in the training set. So the stem follows
  the music's dynamics, but not into its breaks: where the context is more than
  12 dB below its own level, the stem is as loud as at 12 dB below.

  Args:
    context: scales of what is heard.
    category: of the stem.
    ratios: target / context by category, geometric means of the training
      set; for a category that is not there, their mean, or 1.
    usual: level of the training's contexts, for a context that is silent.
  """
  ratio = ratios.get(category)
  if ratio is None:
    ratio = float(np.mean(list(ratios.values()))) if ratios else 1.0
  audible = context[context > _SILENT]
  if not len(audible):
    return np.full(len(context), ratio * usual, np.float32)
  level = np.sqrt(np.mean(audible**2))
  return (ratio * np.maximum(context, _BREAK * level)).astype(np.float32)
