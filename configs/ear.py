"""Train the full band's model.

Command:
  stemgen-jax prepare --source=band --songs=800 --valid_songs=96 \\
    --test_songs=96 --seconds=24 --pairs=4 --codec=band \\
    --soundfont=FluidR3_GM.sf2,MuseScore_General_Full.sf3,TimGM6mb.sf2 \\
    --out=data/ear
  stemgen-jax train --config=configs/ear.py --data=data/ear --out=runs/ear
Hardware: two CPU cores.
Wall time: TODO
Result: TODO
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import (
  MaskConfig,
  OptimizerConfig,
  TrainConfig,
)


def get_config() -> TrainConfig:
  """Return the configuration of the full band's model."""
  return TrainConfig(
    model=ModelConfig(
      width=256,
      depth=6,
      heads=4,
      mlp=704,
      window=500,  # 10 s at the 50 frames/s of the band codec
      embedding="codebook",
      conditions=("category", "genre", "role"),
      beats=True,
      qk_norm=True,
      remat="none",
    ),
    optimizer=OptimizerConfig(
      kind="muon",
      learning_rate=3e-3,
      warmup_steps=100,
      hold_steps=7900,  # warm-up + hold + decay = steps
      decay_steps=2000,
      final_ratio=0.05,
    ),
    mask=MaskConfig(
      # The coarsest level holds the notes.
      level_weights=(0.5, 0.2, 0.15, 0.15),
      span_share=0.05,
      prefix_share=0.2,
      hidden_share=0.25,
      live_share=0.1,
    ),
    steps=10_000,
    batch=8,
    beat_weight=0.5,
    context_drop=0.1,
    condition_drop=0.15,
    joint_drop=0.05,
    category_power=0.5,
    ema_decay=0.997,
    save_every=200,
    keep=2,
    validate_every=200,
    validate_batches=16,
    patience=0,  # no early stopping: the decay ends at the last step
    listen_every=0,
  )
