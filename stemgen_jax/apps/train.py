"""Trains a model on prepared codes.

  stemgen-jax train --config=configs/demo.py --data=data/demo --out=runs/demo

It may be stopped at any time (Ctrl-C, kill); the same command goes on where
it was. Any field of the configuration is a flag: --config.model.depth=12. On
several machines the same command is given on each, with --coordinator.

Fine-tuning starts from exported weights or another run's folder; patterns
name parameters that stay as they are:

  stemgen-jax train --config=configs/demo.py --data=data/mine --out=runs/mine \\
    --start=runs/demo --config.optimizer.learning_rate=1e-4 \\
    --config.optimizer.frozen="('embedding/',)"

Does a configuration learn at all? It must learn one batch by heart:

  stemgen-jax train --config=configs/demo.py --data=data/demo \\
    --out=runs/check --config.overfit --config.batch=2 --config.steps=300
"""

import dataclasses
import json
import shlex
import sys
from typing import TYPE_CHECKING

from absl import flags
from ml_collections import config_flags

from stemgen_jax.cli.flags.required import required

if TYPE_CHECKING:
  from stemgen_jax.data.batches import Mixture
  from stemgen_jax.training.audition import Listener
  from stemgen_jax.training.config import TrainConfig

FLAGS = flags.FlagValues()
config_flags.DEFINE_config_file(
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
flags.DEFINE_string(
  "out",
  None,
  "Folder of the run: log, checkpoints. One that has a run goes on with it.",
  flag_values=FLAGS,
)
_START = flags.DEFINE_string(
  "start",
  None,
  "Weights to start from: exported weights, demo, or the folder of a run. "
  "The learning rate is the configuration's own.",
  flag_values=FLAGS,
)
_CODEC = flags.DEFINE_string(
  "codec",
  None,
  "To listen with (config.listen_every): a codec's name or .safetensors file. "
  "Default: the one that the data name.",
  flag_values=FLAGS,
)
_RESTORE_STEP = flags.DEFINE_integer(
  "restore_step",
  None,
  "Go on from this checkpoint of --out; later ones are moved to OUT/set_aside.",
  flag_values=FLAGS,
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator",
  None,
  "HOST:PORT of process 0, for a run of several processes; 'auto' on TPU "
  "pods, under SLURM (srun) and under Open MPI.",
  flag_values=FLAGS,
)
_PROCESSES = flags.DEFINE_integer(
  "processes", None, "How many processes; not with auto.", flag_values=FLAGS
)
_PROCESS = flags.DEFINE_integer(
  "process", None, "Which of them this is, from 0.", flag_values=FLAGS
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run",
  False,
  "Print what the run would take and whether it fits: parameters, memory, "
  "communication, time. Needs neither the hardware nor --data.",
  flag_values=FLAGS,
)
_DEVICE = flags.DEFINE_string(
  "device",
  None,
  "Device of a --dry_run, such as H100-80GB or TPU-v5e. Default: all known.",
  flag_values=FLAGS,
)


def main(argv: list[str]) -> None:
  """Trains, or goes on training.

  Raises:
    ValueError: a flag is missing or wrong, or the folder holds another run.
    FileNotFoundError: there is no configuration, no finished data set, or no
      such checkpoint.
    ConnectionError: the processes do not find each other.
  """
  del argv
  run = required(FLAGS, "config", "configs/demo.py")
  if _DRY_RUN.value:
    _dry_run(run)
    return
  mixture = required(FLAGS, "data", "data/demo")
  out = required(FLAGS, "out", "runs/demo")

  # Here, so that --help and mistakes in the flags answer at once.
  import jax

  from stemgen_jax.data import batches as data
  from stemgen_jax.training import metrics, processes, trainer

  mixture = data.Mixture.parse(mixture)
  manifest = mixture.manifest()
  # Before anything that asks JAX for its devices, as the shapes below do.
  processes.start(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
  if _START.value:
    run = dataclasses.replace(run, start=_START.value)
  config = trainer.resolve(run, manifest)
  if processes.is_first():
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
    config,
    manifest,
    train_batches,
    validation,
    out,
    summary=summary,
    listener=_listener(config, validated, out),
    command=shlex.join(["stemgen-jax", *sys.argv[1:]]),
    restore_step=_RESTORE_STEP.value,
  )
  if not processes.is_first():
    return
  if not metrics.has_ended(f"{out}/log.jsonl"):
    print(f"stopped at step {step}, saved; the same command goes on")
  else:
    print(f"trained {step} steps; stemgen-jax export --run={out}")


def _dry_run(config: "TrainConfig") -> None:
  """Prints the plan of a run, for --data's codes or as it is configured."""
  from stemgen_jax.data import batches as data
  from stemgen_jax.training import trainer
  from stemgen_jax.training.planning import dry_run, hardware

  devices = list(hardware.HARDWARE.values())
  if _DEVICE.value:
    devices = [hardware.find(_DEVICE.value)]
  dry_run.simulate(config)
  if _DATA.value:
    config = trainer.resolve(config, data.Mixture.parse(_DATA.value).manifest())
  print(dry_run.report(dry_run.plan(config), devices))


def config_fields() -> list[str]:
  """Every field that is a flag, as in --config.model.depth."""
  from stemgen_jax.training import config

  return list(config.flat(config.TrainConfig()))


def _listener(
  config: "TrainConfig", validated: "Mixture | None", out: str
) -> "Listener | None":
  """On the first process, where there is something to listen with and to."""
  import jax

  if not config.listen_every or jax.process_index() > 0:
    return None

  import pathlib

  from stemgen_jax import codec
  from stemgen_jax.data import batches
  from stemgen_jax.training import audition

  count = 0
  if validated is not None:
    valid = batches.Manifest.load(validated.folders[0]).counts["valid"]
    count = min(audition.EXAMPLES, valid["pairs"] - valid["empty"])
  if validated is None or not count:
    print("no listening: no validation pair has a context", file=sys.stderr)
    return None
  try:
    player = codec.load(
      _CODEC.value or config.model.codec,
      expected_checksum=config.model.codec_checksum,
    )
  except (ImportError, OSError, ValueError) as error:
    if _CODEC.value:
      raise
    print(f"no listening: {error}", file=sys.stderr)
    return None
  examples = batches.eval_examples(
    validated.folders[0], "valid", config.model.window, count
  )
  return audition.Listener(config.model, examples, player, pathlib.Path(out))
