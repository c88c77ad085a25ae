"""Fine-tune the stereo model of `mingus.py` on a small folder of stems.

Command:
  stemgen-jax prepare --source=folder --root=my_songs \\
    --codec=encodec_48khz --out=data/mine_48khz
  stemgen-jax train --config=configs/mingus_tune.py --data=data/mine_48khz \\
    --start=runs/mingus --replay=data/mingus --out=runs/mingus_tune
Hardware: one GPU with 80 GB (50 GB needed, estimated by `train --dry_run`).
Wall time: not measured; 33 minutes on one A100 80 GB for all 2000 steps, at
  40 % of its peak (estimated by `train --dry_run`).
Result: not trained so far; configs/README.md has a run of toy width.

The demo page has 2 hours of produced music, and 64 000 examples of them are 88
passes over their crops of 9.9 s. A fifth of every batch is from the data of
the pretraining (`--replay`), so that they are not forgotten; validation prints
their loss as well. The learning rate is a fifth of the pretraining's, and the
run ends when the accuracy on new validation songs has not risen for 500 steps.

Stems need a genre and roles, which a `stems.csv` states. Conditions can be
added, as --config.model.conditions="('genre', 'role', 'category')": their rows
start at zero, so that the first outputs are those of the pretraining.
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import OptimizerConfig, TrainConfig


def get_config() -> TrainConfig:
  """Return the configuration of the fine-tuning."""
  return TrainConfig(
    model=ModelConfig(  # that of `mingus.py`
      levels=4,
      codes=1024,
      window=1500,
      frame_rate=150 / 0.99,
      scale_frames=150,
      conditions=("genre", "role"),
    ),
    optimizer=OptimizerConfig(
      learning_rate=1e-4,
      warmup_steps=100,
      hold_steps=900,  # warm-up + hold + decay = steps
      decay_steps=1000,
      final_ratio=0.05,
    ),
    steps=2000,
    ema_decay=0.995,
    replay=0.2,
    save_every=100,
    validate_every=100,
    patience=500,
    listen_every=500,
  )
