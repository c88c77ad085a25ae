"""Pretrain a stereo model by genre and role on the band: 263M parameters.

Command:
  stemgen-jax prepare --source=band --sample_rate=48000 --channels=2 \\
    --songs=30000 --valid_songs=96 --test_songs=96 --seconds=60 \\
    --codec=encodec_48khz --out=data/mingus
  stemgen-jax train --config=configs/mingus.py --data=data/mingus \\
    --out=runs/mingus
Hardware: one GPU with 80 GB (50 GB needed, estimated by `train --dry_run`).
Wall time: not measured; 41 hours on one A100 80 GB for all 150 000 steps, at
  40 % of its peak (estimated by `train --dry_run`).
Result: not trained so far; configs/README.md has a run of toy width.

The model `mingus` of StemGen's demo page, which the paper does not describe:
pretrained on 500 hours of synthetic music, then fine-tuned on 2 hours, see
`mingus_tune.py`; conditioned on genre and stem category (melodic, harmonic,
percussive, bass) instead of the instrument; stereo EnCodec at 48 kHz. Here the
music is the band's, and size and schedule are those of the paper's other
models.

EnCodec 48 kHz has 4 levels x 1024 in segments of 150 frames, which begin every
0.99 s. Crops are ten segments, 9.9 s; the model also predicts the loudness of
every segment. There are no instruments:

  stemgen-jax generate my_mix.wav --weights=mingus.safetensors \\
    --genre=electronic --role=melodic
"""

from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import TrainConfig


def get_config() -> TrainConfig:
  """Return the configuration of the pretraining."""
  return TrainConfig(
    model=ModelConfig(
      levels=4,
      codes=1024,
      window=1500,  # ten segments of the codec
      frame_rate=150 / 0.99,
      scale_frames=150,
      conditions=("genre", "role"),
    ),
  )
