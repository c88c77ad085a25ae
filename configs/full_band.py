"""Train a model of the full band, begun from weights of another codec.

Command:
  stemgen-jax prepare --source=band --songs=800 --valid_songs=96 \\
    --test_songs=96 --seconds=24 --pairs=4 --codec=band \\
    --soundfont=FluidR3_GM.sf2,MuseScore_General_Full.sf3,TimGM6mb.sf2 \\
    --out=data/full_band
  stemgen-jax transfer --weights=demo --data=data/full_band \\
    --out=transferred.safetensors
  stemgen-jax train --config=configs/full_band.py --data=data/full_band \\
    --start=transferred.safetensors --out=runs/full_band
Hardware: two CPU cores.
Wall time: 40 minutes for the data, and for training 8 hours (8000 steps at 3.5
  s), estimated from the first 1000 steps.
Result: not finished so far; the weights `band` of the package are from its
  first third, of which configs/README.md has the figures.

4 layers x 256 as the demo weights, whose blocks it begins with, crops of 10 s.
The place in the bar is a second target. A quarter of the examples has all
frames masked, as when decoding begins; 20 % continue a known beginning, as
windows of a longer take do; the context of 10 % ends at a random frame, for use
while music plays.
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import (
  MaskConfig,
  OptimizerConfig,
  TrainConfig,
)


def get_config() -> TrainConfig:
  """Return the configuration of a model of the full band."""
  return TrainConfig(
    model=ModelConfig(
      width=256,
      depth=4,
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
      learning_rate=2e-3,
      warmup_steps=50,
      hold_steps=5950,  # warm-up + hold + decay = steps
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
    steps=8000,
    batch=16,
    beat_weight=0.5,
    context_drop=0.1,
    condition_drop=0.15,
    joint_drop=0.05,
    category_power=0.5,
    ema_decay=0.995,
    save_every=200,
    keep=2,
    validate_every=200,
    validate_batches=16,
    patience=0,  # no early stopping: the decay ends at the last step
    listen_every=0,
  )
