"""Train the coherence model: does a stem fit its context?

The default is a model of the package's shape, trained on songs of the built-in
band; the README of stemgen_jax/coherence has the command of the shipped one:

  stemgen-jax train_coherence --out=runs/coherence \\
    --export=coherence.safetensors

The same command resumes a stopped run. How often does it prefer the stems of
held-out songs to those of other songs, and to the same stems with other chords,
transposed, shifted or stretched? At any time:

  stemgen-jax train_coherence --out=runs/coherence --report

Or measure other weights, such as those in the package:

  stemgen-jax train_coherence --out=out/coherence --report --weights=package
"""

import pathlib

from absl import flags

from stemgen_jax import disk, locks
from stemgen_jax.cli.flags import sources
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required
from stemgen_jax.coherence.training import config as config_lib

FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string(
  "out", None, "Folder of the run: checkpoint, log.jsonl, report.json."
)
_EXPORT = _add.string(
  "export",
  None,
  "File of the exported weights, .safetensors. Default: coherence.safetensors "
  "in --out.",
)
_OVERWRITE = _add.bool("overwrite", False, "Replace existing weights.")
_STEPS = _add.integer(
  "steps", config_lib.TrainingConfig.steps, "Training steps in all."
)
_BATCH = _add.integer(
  "batch",
  config_lib.TrainingConfig.songs,
  "Songs in a step, each in two versions.",
)
sources.define_band(
  FLAGS,
  songs=320,
  songs_help="Songs to train on; a fifth more are held out for the report.",
  seed_help="Seed of the songs and of the training.",
)
_SONG_SECONDS = _add.time("song_seconds", 16.0, "Length of a song in seconds.")
_CACHE = _add.string(
  "cache",
  None,
  "Folder for the spectra of the songs, 2 MB each. Default: spectra/ in --out.",
)
_CHECKPOINT_MINUTES = _add.float(
  "checkpoint_minutes", 5.0, "Minutes of training between checkpoints."
)
_REPORT = _add.bool(
  "report",
  False,
  "Do not train: measure the model, and write report.json in --out.",
)
_WEIGHTS = _add.string(
  "weights",
  None,
  "With --report: measure these weights instead of the run's: package or a "
  ".safetensors file.",
)


def main(argv: list[str]) -> None:
  """Render the songs, train and export the weights; or write the report.

  Raises:
    ValueError: a flag is out of range, or the run has other settings.
    FileNotFoundError: --report finds no checkpoint.
    FileExistsError: existing weights would be replaced.
  """
  del argv
  out = pathlib.Path(required(FLAGS, "out", "runs/coherence"))
  weights = pathlib.Path(_EXPORT.value or out / "coherence.safetensors")
  if FLAGS.songs < 2:
    raise ValueError(f"--songs={FLAGS.songs}: expected 2 or more")
  if _WEIGHTS.value and not _REPORT.value:
    raise ValueError(f"--weights={_WEIGHTS.value}: expected with --report")
  config = config_lib.TrainingConfig(
    steps=_STEPS.value, songs=_BATCH.value, seed=FLAGS.seed
  )
  config.validate()
  clip = 0.02 * config.frames  # seconds
  least = config_lib.REPORT_SECONDS if _REPORT.value else clip
  if _SONG_SECONDS.value < least:
    raise ValueError(
      f"--song_seconds={_SONG_SECONDS.value:g}: expected at least {least:g}, "
      "the length of a clip"
    )
  if FLAGS.songs < config.songs:
    raise ValueError(
      f"--songs={FLAGS.songs}: expected at least --batch={config.songs}"
    )
  disk.check_folder(out)
  # Overwriting is checked later: this run may have written the file itself.
  disk.check_writable(weights, True, (".safetensors",))

  # Imported after all checks of the flags: JAX takes seconds.
  from stemgen_jax.coherence.training import command
  from stemgen_jax.data.sources import band

  job = command.Job(
    config=config,
    out=out,
    source=band.Band(
      seed=config.seed,
      train=FLAGS.songs,
      valid=max(2, FLAGS.songs // 5),
      test=0,
      seconds=_SONG_SECONDS.value,
      soundfonts=sources.soundfonts(FLAGS),
    ),
    cache=pathlib.Path(_CACHE.value or out / "spectra"),
  )
  with locks.only_writer(out, folder=True):
    if _REPORT.value:
      command.write_report(job, _WEIGHTS.value)
      return
    command.train(
      job,
      weights,
      overwrite=_OVERWRITE.value,
      checkpoint_minutes=_CHECKPOINT_MINUTES.value,
    )
