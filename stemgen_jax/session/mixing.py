"""Mix layers: gain, pan, and the sum."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sized

import numpy as np
from jaxtyping import Float32

from stemgen_jax.audio import Audio

Samples = Float32[np.ndarray, "samples channels"]


@contextlib.contextmanager
def silence_expected(parts: Sized) -> Iterator[None]:
  """Ignore the warning of a silent context for takes made from nothing.

  Args:
    parts: parts of the context.
  """
  with warnings.catch_warnings():
    if not parts:
      warnings.filterwarnings("ignore", "the context is silent")
    yield


def placed(samples: Samples, gain_db: float, pan: float) -> Samples:
  """Apply gain and pan; the pan lowers the opposite side of stereo.

  Args:
    samples: samples of a layer.
    gain_db: gain in dB.
    pan: -1 to 1; 0 changes nothing.
  """
  factor = 10 ** (gain_db / 20)
  if not pan:
    return samples * np.float32(factor) if gain_db else samples
  sides = factor * np.minimum(1.0, [1 - pan, 1 + pan])  # [2]
  return samples * sides.astype(np.float32)


def total(layers: Iterable[Samples], silence: Audio) -> Audio:
  """Return the sum of layers, which may exceed full scale.

  Args:
    layers: samples with gain and pan.
    silence: silence in their format.
  """
  # In float64, so that the order of the layers does not matter.
  summed = silence.samples.astype(np.float64)
  for samples in layers:
    summed += samples
  return Audio(summed.astype(np.float32), silence.sample_rate)
