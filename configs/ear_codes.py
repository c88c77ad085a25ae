"""Train with contexts as codes: the first of two arms of equal compute.

Command:
  stemgen-jax prepare --source=band --songs=1800 --valid_songs=96 \\
    --test_songs=96 --seconds=24 --contexts=spectrum --pairs=8 --codec=band \\
    --soundfont=FluidR3_GM.sf2,MuseScore_General_Full.sf3,TimGM6mb.sf2 \\
    --out=data/ear
  stemgen-jax train --config=configs/ear_codes.py --data=data/ear \\
    --out=runs/ear_codes
Hardware: two CPU cores.
Wall time: 70 minutes.
Result: better than the other arm, `ear_spectrum.py`, see configs/README.md.

6 layers x 256, crops of 10 s. The data set serves both arms: here a context is
one of 8 prepared mixes of a segment, as codes of the codec. Categories are
drawn by the square roots of their numbers. 30 % of the examples continue a
known beginning, as windows of a longer take do; the context of 15 % ends at a
random frame, for use while music plays; 10 % lose context and conditions, so
that the unconditional branch of guidance is trained well. Validation is on 256
crops of the 96 songs.
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import (
  MaskConfig,
  OptimizerConfig,
  TrainConfig,
)


def get_config() -> TrainConfig:
  """Return the configuration of the arm with codes."""
  return TrainConfig(
    model=ModelConfig(
      width=256,
      depth=6,
      heads=4,
      mlp=704,
      window=500,  # 10 s at the 50 frames/s of the demo codec
      context="codes",
      embedding="codebook",
      conditions=("category", "genre", "role"),
      qk_norm=True,
      remat="none",
    ),
    optimizer=OptimizerConfig(
      kind="muon",
      learning_rate=3e-3,
      warmup_steps=100,
      hold_steps=700,  # warm-up + hold + decay = steps
      decay_steps=200,
      final_ratio=0.05,
    ),
    mask=MaskConfig(
      # The coarsest level holds the notes.
      level_weights=(0.5, 0.2, 0.15, 0.15),
      span_share=0.1,
      prefix_share=0.3,
      live_share=0.15,
    ),
    steps=1000,
    batch=16,
    joint_drop=0.1,
    category_power=0.5,
    ema_decay=0.995,
    save_every=200,
    keep=2,
    validate_every=200,
    validate_batches=16,
    patience=0,  # no early stopping: the decay ends at the last step
    listen_every=0,
  )
