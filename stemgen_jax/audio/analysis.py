"""Onset detection, the field's own: librosa, and mir_eval for its measures.

pip install -e '.[evaluate]'
"""

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Suppress librosa's warnings about short or silent sounds."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    yield


try:
  with quiet():
    # librosa warns about optional packages when it is imported.
    import librosa
    import mir_eval
except ImportError as error:
  raise ModuleNotFoundError(
    f"{error.name} is needed to compare onsets and pitches: "
    "pip install 'stemgen-jax[evaluate]'"
  ) from error

__all__ = ["librosa", "mir_eval", "onsets", "quiet"]


def onsets(
  samples: Float[np.ndarray, " n"], sample_rate: int, hop: int = 512
) -> Float[np.ndarray, " onsets"]:
  """Estimate onsets in seconds, with librosa's peak picking.

  Args:
    samples: mono audio.
    sample_rate: samples per second; frequency bands scale with it.
    hop: samples between frames, the resolution of the onsets.
  """
  with quiet():
    return librosa.onset.onset_detect(
      y=samples, sr=sample_rate, hop_length=hop, units="time"
    )
