"""A take: one generated stem, its seed and its settings."""

import dataclasses
import os
import pathlib
import warnings
from typing import Any

import numpy as np
from jaxtyping import Int

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio
from stemgen_jax.sampling import Settings


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Take:
  """One generated stem and how to have it again.

  Attributes:
    audio: the stem, in the context's format.
    codes: the codec's codes of the stem, `[t, q]`.
    seed: the seed it was drawn with.
    settings: the settings it was sampled with.
    stem: its instrument category.
    weights: what the model was loaded from.
    elapsed: seconds of work it took, without the encoding of the context.
    warnings: what the listener should know, in plain words.
  """

  audio: Audio
  codes: Int[np.ndarray, "t q"]
  seed: int
  settings: Settings
  stem: str
  weights: str
  elapsed: float
  warnings: tuple[str, ...] = ()

  @property
  def name(self) -> str:
    """File name without a suffix, such as "bass-seed3"."""
    return f"{self.stem}-seed{self.seed}"

  @property
  def metadata(self) -> dict[str, Any]:
    """All that is needed to have the take again, fit for JSON."""
    return {
      "title": f"{self.stem}, seed {self.seed}",
      "stem": self.stem,
      "seed": self.seed,
      "settings": dataclasses.asdict(self.settings),
      "weights": self.weights,
    }

  def save(
    self,
    path: str | os.PathLike[str],
    *,
    bits: audio_lib.Bits = 24,
    overwrite: bool = False,
  ) -> pathlib.Path:
    """Writes the stem with its seed and settings in the file's metadata.

    Args:
      path: a .wav or .flac file, or a folder (made if it has no suffix and is
        not there), where the file is called `STEM-seedS.wav`.
      bits: 16, 24, or "float" (wav only).
      overwrite: replace a file that is there.

    Returns:
      The file.

    Raises:
      ValueError, OSError: as `audio.write`.
    """
    path = pathlib.Path(path)
    if path.is_dir() or not path.suffix:
      path.mkdir(parents=True, exist_ok=True)
      path = path / f"{self.name}.wav"
    gain_db = audio_lib.write(
      path, self.audio, bits=bits, metadata=self.metadata, overwrite=overwrite
    )
    if gain_db < 0:
      warnings.warn(
        f"{path}: the stem was lowered by {-gain_db:.1f} dB so as not to clip",
        stacklevel=2,
      )
    return path

  def mix(self, context: Audio) -> tuple[Audio, float]:
    """The stem with its context, as `audio.mix`: mix and its gain in dB."""
    return audio_lib.mix(context, self.audio)
