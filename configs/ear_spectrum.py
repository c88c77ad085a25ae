"""Train with contexts as spectra: the second of two arms of equal compute.

Command:
  stemgen-jax prepare --source=band --songs=1800 --valid_songs=96 \\
    --test_songs=96 --seconds=24 --contexts=spectrum --pairs=8 --codec=band \\
    --soundfont=FluidR3_GM.sf2,MuseScore_General_Full.sf3,TimGM6mb.sf2 \\
    --out=data/ear
  stemgen-jax train --config=configs/ear_spectrum.py --data=data/ear \\
    --out=runs/ear_spectrum
Hardware: two CPU cores.
Wall time: 65 minutes.
Result: worse than the other arm, `ear_codes.py`, see configs/README.md.

As `ear_codes.py`, except for the context, which deviates from the paper: 84
semitone and 24 onset bands of the mix. Each example has a fresh submix of the
stems with gains within 6 dB, changed by equalizers, noise, rooms and gaps.
With this configuration alone, `--pairs=4` suffices.
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import (
  MaskConfig,
  OptimizerConfig,
  TrainConfig,
)


def get_config() -> TrainConfig:
  """Return the configuration of the arm with spectra."""
  return TrainConfig(
    model=ModelConfig(
      width=256,
      depth=6,
      heads=4,
      mlp=704,
      window=500,  # 10 s at the 50 frames/s of the demo codec
      context="spectrum",
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
