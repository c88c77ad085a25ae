"""The demo model: about four hours on two CPU cores.

  stemgen-jax prepare --style=demo --songs=640 --valid_songs=8 \\
    --test_songs=64 --seconds=12 --out=data/demo
  stemgen-jax train --config=configs/demo.py --data=data/demo --out=runs/demo

Crops of 5 s. A fifth of the examples has a run of frames masked, as redoing a
part and going on ask for.

The weights in the package took a shorter way: 1500 steps of an earlier form of
this file (AdamW, crops of 4 s, half as many songs; in the history, at the
commit "Demo weights, second set"), then 1800 of this one, begun from those:

  stemgen-jax train --config=configs/demo.py --data=data/demo --out=runs/demo \\
    --start=EARLIER.safetensors --config.steps=1800 \\
    --config.optimizer.warmup_steps=100 --config.optimizer.hold_steps=900 \\
    --config.optimizer.decay_steps=800

The card beside them, stemgen_jax/assets/demo/model.md, has the course of it.
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import (
  MaskConfig,
  OptimizerConfig,
  TrainConfig,
)


def get_config() -> TrainConfig:
  """The demo's run."""
  return TrainConfig(
    model=ModelConfig(
      width=256,
      depth=4,
      heads=4,
      mlp=704,
      window=250,
      embedding="codebook",
      qk_norm=True,
      remat="none",
    ),
    optimizer=OptimizerConfig(
      kind="muon",
      learning_rate=3e-3,
      warmup_steps=200,
      hold_steps=3800,
      decay_steps=2000,
      final_ratio=0.05,
    ),
    mask=MaskConfig(
      level_weights=(0.5, 0.2, 0.15, 0.15), span_share=0.1, prefix_share=0.1
    ),
    steps=6000,
    batch=16,
    ema_decay=0.995,
    save_every=200,
    keep=2,
    validate_every=200,
    validate_batches=4,
    patience=0,
    listen_every=2000,
  )
