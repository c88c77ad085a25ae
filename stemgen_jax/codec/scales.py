"""The loudness of a generated stem per segment, for codecs with scales.

EnCodec 48 kHz stores the RMS of each second next to the codes. For a model that
predicts codes alone, a stem's scales are derived from its context; others
predict them, see `model.scales`.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

AUDIBLE = 1e-3
"""RMS of the quietest sound that counts, -60 dB."""
_BREAK = 10 ** (-12 / 20)  # how far a stem follows its context down


def log_ratios(
  target: Float32[np.ndarray, "*n segments"],
  context: Float32[np.ndarray, "*n segments"],
) -> Float32[np.ndarray, " m"]:
  """Return ln(target / context) of the m segments where both are audible."""
  audible = (target > AUDIBLE) & (context > AUDIBLE)
  return np.log(target[audible] / context[audible])


def of_stem(
  context: Float32[np.ndarray, " segments"],
  category: str,
  ratios: Mapping[str, float],
  usual: float,
) -> Float32[np.ndarray, " segments"]:
  """Return scales for a stem that is generated to a context.

  They are the context's scales times the usual ratio of stems of the category
  to their contexts. So the stem follows the dynamics of the music, but not
  into its breaks: where the context is more than 12 dB below its own RMS,
  the stem is as loud as at 12 dB below.

  Args:
    context: scales of the context.
    category: category of the stem.
    ratios: target / context by category, geometric means of the training
      set; for an absent category, the mean of all, or 1.
    usual: RMS of the training's contexts, for a silent context.
  """
  ratio = ratios.get(category)
  if ratio is None:
    ratio = float(np.mean(list(ratios.values()))) if ratios else 1.0
  audible = context[context > AUDIBLE]
  if not len(audible):
    return np.full(len(context), ratio * usual, np.float32)
  rms = np.sqrt(np.mean(audible**2))
  return (ratio * np.maximum(context, _BREAK * rms)).astype(np.float32)
