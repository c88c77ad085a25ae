"""Train the codec that encodes audio into codes and decodes it.

The default is the demo codec, trained on songs of the built-in band:

  stemgen-jax train_codec --out=runs/codec --export=my_codec.safetensors

The same command resumes a stopped run. Measure how well its codec keeps each
instrument of held-out songs, at any time:

  stemgen-jax train_codec --out=runs/codec --report

and your own recordings (a quoted pattern):

  stemgen-jax train_codec --out=runs/codec --report --files='loops/*.flac'

Or measure another codec, such as the one in the package:

  stemgen-jax train_codec --out=out/codec --report --codec=demo
"""

import pathlib

from absl import flags

from stemgen_jax import disk, locks
from stemgen_jax.cli.flags import sources
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required
from stemgen_jax.codec.training import config as config_lib

FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string(
  "out", None, "Folder of the run: checkpoint, log.jsonl, report.json."
)
_EXPORT = _add.string(
  "export",
  None,
  "File of the exported weights, .safetensors. Default: codec.safetensors in "
  "--out.",
)
_OVERWRITE = _add.bool(
  "overwrite",
  False,
  "Replace weights of another codec, such as those of a shorter run. Codes "
  "that were made with them need them.",
)
_NAME = _add.string("name", "demo", "Name of the exported codec.")
_STEPS = _add.integer(
  "steps", 6000, "Training steps in all, half a second each."
)
_BATCH = _add.integer("batch", 8, "Clips of 0.8 seconds in a step.")
sources.define_band(
  FLAGS,
  songs=320,
  songs_help="Songs to train on; an eighth more are held out for the report.",
  seed_help="Seed of the songs and of the training.",
)
_SONG_SECONDS = _add.time("song_seconds", 30.0, "Length of a song in seconds.")
_CACHE = _add.string(
  "cache",
  None,
  "Folder for the rendered songs, 12 MB each. Default: songs/ in --out.",
)
_CHECKPOINT_MINUTES = _add.float(
  "checkpoint_minutes", 5.0, "Minutes of training between checkpoints."
)
_REPORT = _add.bool(
  "report",
  False,
  "Do not train: measure the codec, and write report.json in --out.",
)
_FILES = _add.string(
  "files", None, "With --report: a pattern of audio files to measure too."
)
_CODEC = _add.string(
  "codec",
  None,
  "With --report: measure this mono codec of 32 kHz instead of the run's: "
  "demo, encodec_32khz or a .safetensors file.",
)


def main(argv: list[str]) -> None:
  """Render the songs, train and export the weights; or write the report.

  Raises:
    ValueError: a flag is out of range, or the run has other settings.
    FileNotFoundError: --report finds no checkpoint.
    FileExistsError: weights of another codec would be replaced.
  """
  del argv
  out = pathlib.Path(required(FLAGS, "out", "runs/codec"))
  weights = pathlib.Path(_EXPORT.value or out / "codec.safetensors")
  if FLAGS.songs < 1:
    raise ValueError(f"--songs={FLAGS.songs}: expected 1 or more")
  for flag in (_FILES, _CODEC):
    if flag.value and not _REPORT.value:
      raise ValueError(f"--{flag.name}={flag.value}: expected with --report")
  files = disk.matching(_FILES.value) if _FILES.value else []
  config = config_lib.TrainingConfig(
    steps=_STEPS.value, batch=_BATCH.value, seed=FLAGS.seed
  )
  config.validate()
  disk.check_folder(out)
  # Overwriting is checked later: this run may have written the file itself.
  disk.check_writable(weights, True, (".safetensors",))

  # Imported after all checks of the flags: PyTorch takes seconds.
  from stemgen_jax.codec.training import command
  from stemgen_jax.data.sources import band

  songs = {"train": FLAGS.songs, "valid": max(1, FLAGS.songs // 8)}
  job = command.Job(
    config=config,
    out=out,
    name=_NAME.value,
    source=band.Band(
      seed=config.seed,
      **songs,
      test=0,
      seconds=_SONG_SECONDS.value,
      sample_rate=config.network.sample_rate,
      soundfonts=sources.soundfonts(FLAGS),
    ),
    songs=songs,
    cache=pathlib.Path(_CACHE.value or out / "songs"),
  )
  with locks.only_writer(out, folder=True):
    if _REPORT.value:
      command.write_report(job, _CODEC.value, files)
      return
    command.train(
      job,
      weights,
      overwrite=_OVERWRITE.value,
      checkpoint_minutes=_CHECKPOINT_MINUTES.value,
    )
