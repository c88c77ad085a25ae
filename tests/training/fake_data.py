"""A data set in memory with the interface of the real one."""

import dataclasses

import numpy as np

from stemgen_jax.model import ModelConfig
from stemgen_jax.training.config import MaskConfig, TrainConfig
from stemgen_jax.training.optimizer import OptimizerConfig

Q, V, LATENT = 2, 8, 3


@dataclasses.dataclass
class FakeData:
  codec: str = "fake"
  checksum: str = "abc"
  frame_rate: float = 50.0
  levels: int = Q
  codes: int = V
  frames: int = 12
  codebooks: np.ndarray = dataclasses.field(
    default_factory=lambda: (
      np.random.default_rng(0).normal(size=(Q, V, LATENT)).astype(np.float32)
    )
  )


class FakeBatches:
  """The target follows from the context, so there is something to learn."""

  def __init__(self, config, seed=0):
    self.shape = (config.batch, config.model.window, Q)
    self.seed, self.number = seed, 0

  def __iter__(self):
    return self

  def __next__(self):
    rng = np.random.default_rng((self.seed, self.number))
    self.number += 1
    context = rng.integers(0, V, self.shape).astype(np.int32)
    category = rng.integers(0, 3, self.shape[0]).astype(np.int32)
    return {
      "context": context,
      "target": (context + category[:, None, None]) % V,
      "category": category,
      "genre": np.zeros_like(category),
      "song": np.arange(self.shape[0], dtype=np.int32),
    }

  def get_state(self):
    return {"number": self.number}

  def set_state(self, state):
    self.number = state["number"]


def tiny_config(**changes):
  return TrainConfig(
    **{
      "model": ModelConfig(
        width=16,
        depth=1,
        heads=2,
        mlp=16,
        window=8,
        embedding="codebook",
        remat="none",
      ),
      "optimizer": OptimizerConfig(
        learning_rate=1e-2, warmup_steps=5, hold_steps=1000
      ),
      "mask": MaskConfig(span_share=0.1, prefix_share=0.1),
      "steps": 6,
      "batch": 8,
      "ema_decay": 0.9,
      "mesh_data": 1,
      "log_every": 2,
      "save_every": 3,
      "validate_every": 3,
      "validate_batches": 1,
    }
    | changes
  )
