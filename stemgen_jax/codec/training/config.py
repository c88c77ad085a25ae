"""How to train a codec, as plain fields; imports no PyTorch."""

import dataclasses

from stemgen_jax.codec.config import NetworkConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
  """How to train a codec; the defaults are the demo codec's.

  Attributes:
    network: shape of the networks.
    steps: optimizer steps in all, warm-up included.
    batch: clips per step.
    frames: frames per clip.
    learning_rate: constant, then falling to a twentieth (half a cosine).
    decay_share: share of the steps in which it falls.
    warm_up: the warm-up, without quantizer, ends when `losses.waveform_error`
      is below this.
    warm_up_share: it ends after this share of the steps at the latest.
    warm_up_spectral: weight of the spectral loss during the warm-up; the
      waveform error's is always 1.
    spectral: weight of the spectral loss after the warm-up.
    commitment: weight of the commitment loss.
    taught: dimensions of the latents that `teacher.Teacher` supervises (0:
      none); the coarsest codebook uses these alone.
    teaching: weight of their squared distance from the teacher's targets.
    kmeans_batches: batches that initialize the quantizer and the teacher.
    seed: seed of the initial weights, the clips and the restarted codes.
  """

  network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
  steps: int = 6000
  batch: int = 8
  frames: int = 40
  learning_rate: float = 1e-3
  decay_share: float = 0.4
  warm_up: float = 0.4
  warm_up_share: float = 0.25
  warm_up_spectral: float = 0.3
  spectral: float = 1.0
  commitment: float = 0.25
  taught: int = 32
  teaching: float = 1.0
  kmeans_batches: int = 40
  seed: int = 0

  def validate(self) -> None:
    """Raise ValueError if a field is out of range."""
    for name in ("steps", "batch", "frames", "kmeans_batches"):
      if getattr(self, name) < 1:
        raise ValueError(f"{name} is {getattr(self, name)}: expected 1 or more")
    for name in ("decay_share", "warm_up_share"):
      if not 0 <= getattr(self, name) <= 1:
        raise ValueError(f"{name} is {getattr(self, name)}: expected 0 to 1")
    if not 0 <= self.taught <= self.network.latent:
      raise ValueError(
        f"taught is {self.taught}: expected 0 to {self.network.latent}, the"
        " width of the latents"
      )
