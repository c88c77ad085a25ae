"""A data set in memory with the interface of the real one."""

import dataclasses

import numpy as np

from stemgen_jax.data.manifest import Manifest
from stemgen_jax.model import ModelConfig
from stemgen_jax.training.config import MaskConfig, TrainConfig
from stemgen_jax.training.optimizer import OptimizerConfig

Q, V, LATENT = 2, 8, 3


def fake_data(**changes):
  data = Manifest(
    name="fake_fake",
    records="",
    codec="fake",
    checksum="abc",
    sample_rate=32000,
    channels=1,
    frame_rate=50.0,
    levels=Q,
    codes=V,
    segment_seconds=0.24,
    frames=12,
    counts={"train": {"songs": 1, "pairs": 1, "empty": 0}},
    categories={"bass": 1},
    config={},
    versions={},
    codebooks=np.random.default_rng(0)
    .normal(size=(Q, V, LATENT))
    .astype(np.float32),
    context_rms_db=-20.0,
    silence=np.zeros((12, Q), np.int32),
  )
  return dataclasses.replace(data, **changes)


class FakeBatches:
  """The target is a function of the context, so it can be learned."""

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
      "role": np.zeros_like(category),
      "song": np.arange(self.shape[0], dtype=np.int32),
    }

  def get_state(self):
    return {"number": self.number}

  def set_state(self, state):
    self.number = state["number"]


def tiny_config(**changes):
  fields = {
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
    "listen_every": 0,
  }
  return TrainConfig(**(fields | changes))
