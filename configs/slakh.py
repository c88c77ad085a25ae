"""The paper's model on Slakh2100: 20 layers x 1024, 270M parameters.

  stemgen-jax train --config=configs/slakh.py --data=data/slakh --out=runs/slakh

StemGen, arXiv 2312.08723: EnCodec 32 kHz (4 levels x 2048 at 50 frames/s),
crops of 20 s, batch 40 on one A100 80 GB, AdamW with 10k steps of warm-up,
50k at 5e-4, exponential decay over 300k; stopped when validation accuracy had
not risen for 20k steps, after about 150k steps and 4 days. What the paper
leaves open has the defaults of `TrainConfig`.
"""

from stemgen_jax.training.config import TrainConfig


def get_config() -> TrainConfig:
  """The paper's run: every default is the paper's."""
  return TrainConfig()
