#!/usr/bin/env bash
# Writes earlier.tar.xz, to be run with the code of an earlier commit:
#   git worktree add /tmp/earlier COMMIT
#   PYTHONPATH=/tmp/earlier bash tests/compat/make_files.sh
set -euo pipefail
archive=$(cd "$(dirname "$0")" && pwd)/earlier.tar.xz
folder=$(mktemp -d)
cd "$folder"
# One device and quick compilation: the tests compare with the same.
export JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES=1 JAX_DISABLE_MOST_OPTIMIZATIONS=1
stemgen() { python -m stemgen_jax "$@"; }

# An untrained codec whose codebooks are latents of music, so that its codes
# vary; and a context of 1.2 s with its first second.
python - <<'PY'
import pathlib

import numpy as np
import soundfile
import torch

import stemgen_jax
from stemgen_jax.codec import encodec, networks, quantizer

torch.manual_seed(0)
config = networks.NetworkConfig(
  ratios=(20, 32), filters=2, latent=4, levels=2, codes_per_level=16
)
network = networks.Network(config).eval()
loop, _ = soundfile.read(
  pathlib.Path(stemgen_jax.__file__).with_name("assets") / "loops/drums.flac",
  dtype="float32",
  always_2d=True,
)
with torch.no_grad():
  latents = network.encoder(torch.tensor(loop[None, :, :1]).mT)[0].T
  for book in quantizer.books(network.quantizer):
    chosen = torch.randperm(len(latents))[: len(book.embed)]
    book.embed.copy_(latents[chosen])
    latents = latents - book.embed[torch.cdist(latents, book.embed).argmin(1)]
encodec.save(pathlib.Path("codec.safetensors"), "tiny", config, network, {})

rng = np.random.default_rng(0)
time = np.arange(9600) / 8000
beat = np.exp(-20 * (time % 0.3)) * rng.normal(size=len(time)) * 0.2
context = beat + 0.1 * np.sin(700 * time)
soundfile.write("longer.flac", context, 8000)
soundfile.write("context.flac", context[:8000], 8000)
PY

cat >config.py <<'PY'
from stemgen_jax.model.config import ModelConfig
from stemgen_jax.training.config import MaskConfig, TrainConfig
from stemgen_jax.training.optimizer import OptimizerConfig


def get_config() -> TrainConfig:
  return TrainConfig(
    model=ModelConfig(
      width=16,
      depth=1,
      heads=2,
      mlp=16,
      window=50,
      embedding="codebook",
      conditions=("category", "genre"),
      remat="none",
    ),
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=2),
    mask=MaskConfig(
      level_weights=(0.7, 0.3), span_share=0.2, prefix_share=0.2
    ),
    steps=3,
    batch=4,
    mesh_data=1,
    log_every=1,
    save_every=3,
    keep=1,
    validate_every=3,
    validate_batches=1,
    patience=0,
    listen_every=0,
  )
PY

stemgen prepare --source=band --style=demo --songs=3 --valid_songs=1 \
  --test_songs=1 --seconds=4 --pairs=2 --codec=codec.safetensors --workers=0 \
  --out=data
stemgen prepare --out=data --export_heldout=heldout.npz --window=50 --heldout=1
stemgen train --config=config.py --data=data --out=run
stemgen export --run=run --out=model.safetensors

player=(--weights=model.safetensors --codec=codec.safetensors --bits=16)
stemgen generate "${player[@]}" --context=context.flac --stem=bass \
  --genre=techno --seed=3 --out=bass.flac
stemgen generate "${player[@]}" --context=context.flac --loop --stem=bass \
  --preset=fast --out=loop.wav
stemgen generate "${player[@]}" --seconds=0.5 --stem=drums --out=drums.flac
stemgen vary "${player[@]}" --take=bass.flac --share=0.5 --out=varied.flac

# The log that the run has if it is continued.
cp -r run continued
stemgen train --config=config.py --data=data --out=continued --config.steps=5
cp continued/log.jsonl continued.jsonl
rm -r continued model.md model.png run/tensorboard

# One command line for each app, with every flag that it has.
python - <<'PY'
import importlib
import json
import pkgutil

from absl import flags

from stemgen_jax import apps
from stemgen_jax.training import config

# For the flags that have no default.
SAMPLES = {
  "int": "1",
  "float": "0.5",
  "list": "1",
  "genres": "techno",
  "categories": "bass",
  "settings.schedule": "linear",
  "settings.rank": "paper",
  "settings.guidance_form": "paper",
  "settings.guidance_interval": "0,1",
  "settings.guidance_ramp": "2,0",
}
lines = {}
for app in sorted(module.name for module in pkgutil.iter_modules(apps.__path__)):
  values = importlib.import_module(f"stemgen_jax.apps.{app}").FLAGS
  line = []
  for name in values:
    flag = values[name]
    if isinstance(flag, flags.BooleanFlag):
      line += [f"--{name}", f"--no{name}", f"--{name}=true", f"--{name}=false"]
    elif isinstance(flag.parser, flags.EnumParser):
      line += [f"--{name}={value}" for value in flag.parser.enum_values]
    elif name != "config":
      value = (flag.default_as_str or "").strip("'[]")
      kind = "list" if isinstance(flag.parser, flags.ListParser) else ""
      kind = kind or flag.flag_type()
      value = value or SAMPLES.get(name) or SAMPLES.get(kind, "x")
      line.append(f"--{name}={value}")
  lines[app] = line
for name, value in config.flat(config.TrainConfig()).items():
  value = 0.5 if value is None else value
  lines["train"].append(f"--config.{name}={value}")
with open("flags.json", "w") as file:
  json.dump(lines, file, indent=1)
PY
tar -cJf "$archive" --sort=name --owner=0 --group=0 --numeric-owner .
rm -r "$folder"
