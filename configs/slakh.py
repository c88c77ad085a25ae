"""Train the model of the paper on Slakh2100: 20 layers x 1024, 270M parameters.

Command:
  stemgen-jax prepare --source=slakh --root=slakh2100_flac_redux \\
    --codec=encodec_32khz --out=data/slakh
  stemgen-jax train --config=configs/slakh.py --data=data/slakh --out=runs/slakh
Hardware: one GPU with 80 GB (31 GB used, estimated by `train --dry_run`).
Wall time: the paper reports about 4 days on one A100 80 GB.
Result: not trained with this code so far; the paper reports FAD 3.1 to 3.2.

StemGen, arXiv 2312.08723: EnCodec 32 kHz (4 levels x 2048 at 50 frames/s),
crops of 20 s, batch 40, AdamW with 10k steps of warm-up, 50k at 5e-4 and
exponential decay over 300k; stopped after validation accuracy had not risen
for 20k steps, at about 150k steps. Details that the paper does not state have
the defaults of `TrainConfig`.
"""

from stemgen_jax.training.config import TrainConfig


def get_config() -> TrainConfig:
  """Return the paper's configuration, which is the default."""
  return TrainConfig()
