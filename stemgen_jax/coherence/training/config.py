"""How to train the coherence model, as plain fields; imports no JAX."""

import dataclasses

from stemgen_jax.coherence.config import NetworkConfig

REPORT_SECONDS = 9.6
"""Length of a clip of the report."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
  """How to train the coherence model.

  Attributes:
    network: shape of the network.
    steps: optimizer steps in all.
    songs: songs per step, each in its two versions.
    frames: frames of 20 ms per clip, a multiple of 4.
    learning_rate: greatest learning rate, after the warm-up.
    warm_up: steps in which it rises.
    weight_decay: of AdamW.
    seed: seed of the initial weights and of the clips.
  """

  network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
  steps: int = 800
  songs: int = 12
  frames: int = 320
  learning_rate: float = 2e-3
  warm_up: int = 50
  weight_decay: float = 1e-3
  seed: int = 0

  def validate(self) -> None:
    """Raise ValueError if a field is out of range."""
    for name in ("steps", "frames", "warm_up"):
      if getattr(self, name) < 1:
        raise ValueError(f"{name} is {getattr(self, name)}: expected 1 or more")
    if self.songs < 2:
      raise ValueError(
        f"songs is {self.songs}: expected 2 or more, as one song is contrasted "
        "with another"
      )
    if self.frames % 4:
      raise ValueError(f"frames is {self.frames}: expected a multiple of 4")
