"""Train a model on prepared codes.

  stemgen-jax train --config=configs/demo.py --data=data/demo --out=runs/demo

It can be stopped at any time (Ctrl-C, kill); the same command resumes it. Any
field of the configuration is a flag: --config.model.depth=12. On several
machines give the same command on each, with --coordinator.

Fine-tuning starts from exported weights or another run's folder; patterns
name parameters that do not change:

  stemgen-jax train --config=configs/demo.py --data=data/mine --out=runs/mine \\
    --start=runs/demo --config.optimizer.learning_rate=1e-4 \\
    --config.optimizer.frozen="('embedding/',)"

So that it does not forget, draw a fifth of every batch from earlier data:
--replay=data/demo --config.replay=0.2

A first check of a configuration: it must overfit one batch.

  stemgen-jax train --config=configs/demo.py --data=data/demo \\
    --out=runs/check --config.overfit --config.batch=2 --config.steps=300
"""

import dataclasses
import shlex
import sys

from absl import flags
from ml_collections import config_flags

from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required
from stemgen_jax.data.mixture import Mixture
from stemgen_jax.training import config as config_lib
from stemgen_jax.training import cpu_devices, trackers
from stemgen_jax.training.planning import hardware
from stemgen_jax.training.resolve import check_processes, check_replay, resolve
from stemgen_jax.web import hub

FLAGS = flags.FlagValues()  # Not absl's global ones: commands may share names.
_add = bound(FLAGS)
config_flags.DEFINE_config_file(
  "config",
  None,
  "File with the configuration of the run, such as configs/demo.py.",
  flag_values=FLAGS,
)
_add.string(
  "data",
  None,
  "Folder that `stemgen-jax prepare` made, or several by weight: "
  "data/a:0.7,data/b:0.3.",
)
_add.string(
  "out",
  None,
  "Folder of the run: log, checkpoints. An existing run is resumed.",
)
_START = _add.string(
  "start",
  None,
  "Initial weights: exported weights, demo, the folder of a run, or "
  "hf:OWNER/NAME@REVISION on the Hugging Face Hub. The learning "
  "rate is still the configuration's.",
)
_REPLAY = _add.string(
  "replay",
  None,
  "Data of the pretraining, as --data; config.replay is its share of every "
  "batch.",
)
_CODEC = _add.string(
  "codec",
  None,
  "Codec to decode auditions with (config.listen_every): a name or a "
  ".safetensors file. Default: the codec of the data.",
)
_RESTORE_STEP = _add.integer(
  "restore_step",
  None,
  "Resume from this checkpoint of --out; later ones move to OUT/set_aside.",
)
_COORDINATOR = _add.string(
  "coordinator",
  None,
  "HOST:PORT of process 0, for a run of several processes; 'auto' on TPU "
  "pods, under SLURM (srun) and under Open MPI.",
)
_PROCESSES = _add.integer(
  "processes", None, "Number of processes; not with auto."
)
_PROCESS = _add.integer("process", None, "Index of this process, from 0.")
_INITIALIZATION_TIMEOUT = _add.float(
  "initialization_timeout",
  300.0,
  "Seconds in which all processes of --coordinator have to have started.",
)
_STALL_TIMEOUT = _add.float(
  "stall_timeout",
  600.0,
  "End the run if no step finishes for so many seconds (the first 3: 3 times "
  "as many), or for 20 times the usual step if that is more; 0: never.",
)
_TRACKERS = _add.string(
  "trackers",
  "",
  "Services that also get the figures, as wandb,mlflow,trackio. One that fails "
  "does not stop the run.",
)
_CPU_DEVICES = _add.integer(
  "cpu_devices",
  0,
  "CPU devices to split a batch over, each with its copy of the state. 0: as "
  "the run was started, or one per core if the batch divides.",
)
_DRY_RUN = _add.bool(
  "dry_run",
  False,
  "Print whether the run fits and its parameters, memory, communication and "
  "time. Needs neither the hardware nor --data.",
)
_DEVICE = _add.string(
  "device",
  None,
  "Device of a --dry_run, such as H100 or TPU-v5e. Default: all known. With "
  "numbers, as v5e:16,h100:8, one table of these sets of devices.",
)


def main(argv: list[str]) -> None:
  """Train, or resume a run.

  Raises:
    ValueError: a flag is missing or invalid, or the folder holds another run.
    FileNotFoundError: configuration, complete data set or checkpoint not found.
    ConnectionError: the processes do not find each other.
  """
  del argv
  config = required(FLAGS, "config", "configs/demo.py")
  if _DRY_RUN.value:
    _dry_run(config)
    return
  data = required(FLAGS, "data", "data/demo")
  out = required(FLAGS, "out", "runs/demo")
  addresses = _COORDINATOR.value, _PROCESSES.value, _PROCESS.value
  check_processes(*addresses)
  for flag, least in ((_INITIALIZATION_TIMEOUT, 1), (_STALL_TIMEOUT, 0)):
    if not least <= flag.value < float("inf"):
      raise ValueError(
        f"--{flag.name}={flag.value:g}: expected seconds, at least {least}"
      )
  if _START.value:
    config = dataclasses.replace(config, start=hub.fetch(_START.value))
  services = trackers.parse(_TRACKERS.value)
  mixture = Mixture.parse(data)
  manifest = mixture.manifest()
  config = resolve(config, manifest)
  replay = Mixture.parse(_REPLAY.value) if _REPLAY.value else None
  check_replay(config, manifest, replay.manifest() if replay else None)
  devices = cpu_devices.choose(
    config, _CPU_DEVICES.value, processes=bool(_COORDINATOR.value), out=out
  )

  # After all checks of the flags: jax takes seconds to load.
  from stemgen_jax.training import launch, processes

  # Before anything asks JAX for its devices.
  processes.start(*addresses, timeout=_INITIALIZATION_TIMEOUT.value)
  devices = cpu_devices.start(devices)
  launch.train(
    config,
    mixture,
    manifest,
    out,
    replay=replay,
    codec=_CODEC.value,
    command=shlex.join(["stemgen-jax", *sys.argv[1:]]),
    restore_step=_RESTORE_STEP.value,
    copies=devices,
    stall_timeout=_STALL_TIMEOUT.value,
    trackers=services,
  )


def _dry_run(config: config_lib.TrainConfig) -> None:
  """Print the plan of a run, with the codes of --data if given."""
  devices, sets = list(hardware.HARDWARE.values()), []
  if _DEVICE.value and ("," in _DEVICE.value or ":" in _DEVICE.value):
    sets = hardware.find_sets(_DEVICE.value)
  elif _DEVICE.value:
    devices = [hardware.find(_DEVICE.value)]
  seen = ""
  replay = Mixture.parse(_REPLAY.value).manifest() if _REPLAY.value else None
  # Without data the fields of the configuration itself count.
  if FLAGS["data"].value:
    mixture = Mixture.parse(FLAGS["data"].value)
    manifest = mixture.manifest()
    config = resolve(config, manifest)
    check_replay(config, manifest, replay)
    own = round((1 - config.replay) * config.batch)
    seen = manifest.examples_seen(config.steps, own, config.model.context)

  from stemgen_jax.training.optimizer import check_frozen
  from stemgen_jax.training.planning import dry_run, fleets

  dry_run.simulate(config, max((count for _, count in sets), default=1))
  if FLAGS["data"].value:  # Else shapes of parameters are not known yet.
    for line in check_frozen(config):
      print(line)
  if sets:
    print(fleets.report(config, sets))
  else:
    print(dry_run.report(dry_run.plan(config), devices))
  if seen:
    print(seen)


def config_fields() -> list[str]:
  """Return every field that is a flag, as in --config.model.depth."""
  return list(config_lib.flat(config_lib.TrainConfig()))
