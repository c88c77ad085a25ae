"""Train on a folder of human-played multitracks: 20 layers x 1024.

Command:
  stemgen-jax prepare --source=folder --root=my_songs --usual_levels \\
    --level_db=6 --codec=encodec_32khz --out=data/internal
  stemgen-jax train --config=configs/internal.py --data=data/internal \\
    --out=runs/internal
Hardware: one GPU with 80 GB (31 GB used, estimated by `train --dry_run`).
Wall time: as slakh.py, whose 4 days on one A100 the paper reports; less if
  validation accuracy stops rising.
Result: not trained so far.

The paper's second model was trained on 500 hours of licensed music played by
people. Such tracks differ from Slakh2100: nobody has mixed them, so every
category is brought to its usual level in a mix before contexts are summed, and
varied by up to 6 dB; categories are unequal, so targets are drawn by the square
roots of their numbers; microphones are shared, so `prepare` reports bleed above
-20 dB in problems.csv. Vocals are in contexts only, unless `--vocals` is given.
Names of files give the 18 categories.

With less than about 50 hours start from other weights (`--start=`), or make the
model smaller; early stopping ends a run that only learns its songs.
"""

from stemgen_jax.training.config import TrainConfig


def get_config() -> TrainConfig:
  """Return the paper's configuration with balanced categories."""
  return TrainConfig(
    category_power=0.5,
    # Small sets reach their best step early.
    patience=10_000,
  )
