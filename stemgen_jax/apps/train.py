"""Trains a model on prepared codes.

  stemgen-jax train --config=configs/demo.py --data=data/demo --out=runs/demo

It may be stopped at any time (Ctrl-C, kill); the same command goes on where
it was. Any field of the configuration is a flag: --config.model.depth=12.
"""

import dataclasses
import json
from typing import Any

from absl import flags
from ml_collections import config_flags

FLAGS = flags.FlagValues()
_CONFIG = config_flags.DEFINE_config_file(
  "config",
  None,
  "File with the configuration of the run, such as configs/demo.py.",
  flag_values=FLAGS,
)
_DATA = flags.DEFINE_string(
  "data",
  None,
  "Folder that `stemgen-jax prepare` made, or several by weight: "
  "data/a:0.7,data/b:0.3.",
  flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
  "out",
  None,
  "Folder of the run: log, checkpoints. One that has a run goes on with it.",
  flag_values=FLAGS,
)


def main(argv: list[str]) -> None:
  """Trains, or goes on training.

  Raises:
    ValueError: a flag is missing or wrong, or the folder holds another run.
    FileNotFoundError: there is no configuration, or no finished data set.
  """
  del argv
  run = _required(_CONFIG, "configs/demo.py")
  mixture = _required(_DATA, "data/demo")
  out = _required(_OUT, "runs/demo")

  # Here, so that --help and mistakes in the flags answer at once.
  import jax

  from stemgen_jax.data import batches as data
  from stemgen_jax.training import trainer

  mixture = data.Mixture.parse(mixture)
  manifest = mixture.manifest()
  config = trainer.resolve(run, manifest)
  print(json.dumps(dataclasses.asdict(config), indent=2))
  train_batches = data.batches(
    mixture,
    "train",
    batch=config.batch,
    window=config.model.window,
    seed=config.seed,
    shard_index=jax.process_index(),
    shard_count=jax.process_count(),
  )
  validation = []
  validated = mixture.only("valid")
  if config.validate_every and validated:
    validation = trainer.first(
      data.batches(
        validated,
        "valid",
        batch=config.batch,
        window=config.model.window,
        seed=0,
        shard_index=jax.process_index(),
        shard_count=jax.process_count(),
      ),
      config.validate_batches,
    )
  summary = {
    "name": manifest.name,
    "codec": manifest.codec,
    "counts": manifest.counts,
    "categories": manifest.categories,
    "context_rms_db": manifest.context_rms_db,
    "scale_ratio": manifest.scale_ratio,
    "config": manifest.config,
  }
  step = trainer.train(
    config, manifest, train_batches, validation, out, summary=summary
  )
  if step < config.steps:
    print(f"stopped at step {step}, saved; the same command goes on")
  else:
    print(f"trained {step} steps; stemgen-jax export --run={out}")


def _required(flag: flags.FlagHolder, example: str) -> Any:
  if not flag.value:
    raise ValueError(f"--{flag.name} is missing, as --{flag.name}={example}")
  return flag.value
