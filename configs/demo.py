"""Train the demo model on the band.

Command:
  stemgen-jax prepare --source=band --style=demo --songs=640 \\
    --valid_songs=8 --test_songs=64 --seconds=12 --out=data/demo
  stemgen-jax train --config=configs/demo.py --data=data/demo --out=runs/demo
Hardware: two CPU cores.
Wall time: about four hours (6000 steps at 2.2 s, measured in the run below).
Result: the weights in the package were trained for fewer steps, see below:
  validation accuracy 0.405, listening gain 2.07 bits on held-out songs.

Crops of 5 s. A fifth of the examples has one contiguous run of frames masked,
which is the task of `regenerate` and `extend`.

The weights in the package come from 1500 steps of an earlier version of this
file (AdamW, crops of 4 s, half as many songs; see the commit "Demo weights,
second set") and 1800 steps of this one, in 75 minutes:

  stemgen-jax train --config=configs/demo.py --data=data/demo --out=runs/demo \\
    --start=EARLIER.safetensors --config.steps=1800 \\
    --config.optimizer.warmup_steps=100 --config.optimizer.hold_steps=900 \\
    --config.optimizer.decay_steps=800

Their model card, stemgen_jax/assets/demo/model.md, has the training history.
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import (
  MaskConfig,
  OptimizerConfig,
  TrainConfig,
)


def get_config() -> TrainConfig:
  """Return the configuration of the demo model."""
  return TrainConfig(
    model=ModelConfig(
      width=256,
      depth=4,
      heads=4,
      mlp=704,
      window=250,  # 5 s at the 50 frames/s of the demo codec
      embedding="codebook",
      qk_norm=True,
      remat="none",
    ),
    optimizer=OptimizerConfig(
      kind="muon",
      learning_rate=3e-3,
      warmup_steps=200,
      hold_steps=3800,  # warm-up + hold + decay = steps
      decay_steps=2000,
      final_ratio=0.05,
    ),
    mask=MaskConfig(
      # The coarsest level holds the notes.
      level_weights=(0.5, 0.2, 0.15, 0.15),
      span_share=0.1,
      prefix_share=0.1,
    ),
    steps=6000,
    batch=16,
    ema_decay=0.995,
    save_every=200,
    keep=2,
    validate_every=200,
    validate_batches=4,
    patience=0,  # no early stopping: the decay ends at the last step
    listen_every=2000,
  )
