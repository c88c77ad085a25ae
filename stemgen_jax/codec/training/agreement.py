"""Agreement of two sounds in onsets and pitch classes.

The measures are those of librosa and mir_eval:

  pip install -e '.[evaluate]'
"""

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio.analysis import librosa, mir_eval, onsets, quiet
from stemgen_jax.codec.scales import AUDIBLE

_TOLERANCE = 0.05  # seconds between two onsets that match
_HOP = 512

Mono = Float[np.ndarray, " n"]


def onset_f1(output: Mono, target: Mono, sample_rate: int) -> float:
  """Compute F1 of the detected onsets of two sounds, within 50 ms.

  Returns:
    0..1; NaN where neither has an onset.
  """
  found, wanted = (onsets(sound, sample_rate) for sound in (output, target))
  if not len(found) and not len(wanted):
    return float("nan")
  if not len(found) or not len(wanted):
    return 0.0
  return float(mir_eval.onset.f_measure(wanted, found, window=_TOLERANCE)[0])


def chroma_cosine(output: Mono, target: Mono, sample_rate: int) -> float:
  """Compute the mean cosine of constant-Q chromas over audible frames.

  Frames in which the target is silent do not count.

  Returns:
    0..1; NaN where all frames of the target are silent.
  """
  with quiet():
    # [12, t] of unit norm. By default librosa estimates a tuning per sound.
    ours, theirs = (
      librosa.feature.chroma_cqt(
        y=sound, sr=sample_rate, hop_length=_HOP, tuning=0.0, norm=2
      )
      for sound in (output, target)
    )
  loud = librosa.feature.rms(y=target, hop_length=_HOP)[0] > AUDIBLE
  if not loud.any():
    return float("nan")
  return float((ours * theirs).sum(0)[loud].mean())
