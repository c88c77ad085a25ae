"""Trains the codec that turns audio into codes and back.

The default is the demo codec, trained on songs of the built-in band:

  stemgen-jax train_codec --out=runs/codec --export=my_codec.safetensors

Called again with the same flags it goes on where it was stopped. How well it
keeps each instrument of songs it has not heard, at any time:

  stemgen-jax train_codec --out=runs/codec --report

and how well recordings of your own (in quotes: all that match):

  stemgen-jax train_codec --out=runs/codec --report --files='loops/*.flac'

Or how well another codec does, such as the one in the package:

  stemgen-jax train_codec --out=out/codec --report --codec=demo
"""

import importlib
import pathlib
import signal
import tempfile
import time
from typing import TYPE_CHECKING

import tqdm
from absl import flags

from stemgen_jax import disk
from stemgen_jax.cli.flags import sources

if TYPE_CHECKING:
  from stemgen_jax.codec import Codec
  from stemgen_jax.codec.training.clips import Clips
  from stemgen_jax.codec.training.loop import Training, TrainingConfig

FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string(
  "out",
  None,
  "Folder of the run: checkpoint, log.jsonl, report.json.",
  flag_values=FLAGS,
)
_EXPORT = flags.DEFINE_string(
  "export",
  None,
  "Where the weights go, a .safetensors file. Default: codec.safetensors in "
  "--out.",
  flag_values=FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
  "overwrite",
  False,
  "Replace weights of another codec, such as those of a shorter run. What was "
  "encoded with them needs them.",
  flag_values=FLAGS,
)
_NAME = flags.DEFINE_string(
  "name", "demo", "What the exported codec is called.", flag_values=FLAGS
)
_STEPS = flags.DEFINE_integer(
  "steps", 6000, "Training steps in all, half a second each.", flag_values=FLAGS
)
_BATCH = flags.DEFINE_integer(
  "batch", 8, "Clips of 0.8 seconds in a step.", flag_values=FLAGS
)
sources.define_band(
  FLAGS,
  songs=320,
  songs_help="How many songs to learn from; an eighth more are kept for the "
  "report.",
  seed_help="Seed of the songs and of the training.",
)
_SONG_SECONDS = flags.DEFINE_float(
  "song_seconds", 30.0, "Length of a song in seconds.", flag_values=FLAGS
)
_CACHE = flags.DEFINE_string(
  "cache",
  None,
  "Folder for the rendered songs, 12 MB each. Default: songs/ in --out.",
  flag_values=FLAGS,
)
_CHECKPOINT_MINUTES = flags.DEFINE_float(
  "checkpoint_minutes",
  5.0,
  "Minutes of training between checkpoints.",
  flag_values=FLAGS,
)
_REPORT = flags.DEFINE_bool(
  "report",
  False,
  "Do not train: judge what there is, into report.json in --out.",
  flag_values=FLAGS,
)
_FILES = flags.DEFINE_string(
  "files",
  None,
  "With --report: judge these audio files too, all that match.",
  flag_values=FLAGS,
)
_CODEC = flags.DEFINE_string(
  "codec",
  None,
  "With --report: judge this mono codec of 32 kHz, demo, encodec_32khz or a "
  ".safetensors file, and no run.",
  flag_values=FLAGS,
)
_CLIP_SECONDS = 2
_TO_REPLACE = (
  "give another --export; or --overwrite, if nothing was encoded with it"
)
_SHOWN = ("waveform", "log_mel", "perplexity_0")


def main(argv: list[str]) -> None:
  """Renders the songs, trains, exports the weights; or reports.

  Raises:
    ValueError: a flag is out of range, or the run has other settings.
    FileNotFoundError: there is nothing to report on.
    FileExistsError: weights of another codec would be replaced.
  """
  del argv
  if not _OUT.value:
    raise ValueError("--out is missing: name a folder, as --out=runs/codec")
  out = pathlib.Path(_OUT.value)
  weights = pathlib.Path(_EXPORT.value or out / "codec.safetensors")
  if FLAGS.songs < 1:
    raise ValueError(f"--songs={FLAGS.songs}: expected 1 or more")
  for flag in (_FILES, _CODEC):
    if flag.value and not _REPORT.value:
      raise ValueError(f"--{flag.name}={flag.value}: it goes with --report")
  files = disk.matching(_FILES.value) if _FILES.value else []
  out.mkdir(parents=True, exist_ok=True)
  weights.parent.mkdir(parents=True, exist_ok=True)
  # What this run itself has exported may be there, see `_export`.
  disk.check_writable(weights, True, (".safetensors",))

  # Here, so that --help and mistakes in the flags answer at once.
  from stemgen_jax.codec.training import loop

  config = loop.TrainingConfig(
    steps=_STEPS.value, batch=_BATCH.value, seed=FLAGS.seed
  )
  config.validate()
  cache = pathlib.Path(_CACHE.value or out / "songs")
  if _REPORT.value:
    _report(config, out, cache, files)
    return
  done = loop.steps_done(out) >= config.steps
  if weights.exists() and not done and not _OVERWRITE.value:
    raise FileExistsError(f"{weights} exists: {_TO_REPLACE}")
  _render(cache, config, ("train", "valid"))
  run = loop.Training(config, _heard(config, cache), out)
  if _train(run):
    _export(run, weights)


def _heard(config: "TrainingConfig", cache: pathlib.Path) -> "Clips":
  from stemgen_jax.codec.training import clips

  samples = config.frames * config.network.hop
  return clips.Clips(cache, "train", samples, config.seed)


def _export(run: "Training", weights: pathlib.Path) -> None:
  """Writes the weights, unless another codec's are there to stay."""

  with tempfile.TemporaryDirectory() as folder:
    trained = pathlib.Path(folder) / "codec.safetensors"
    run.export(trained, _NAME.value)
    same = weights.exists() and disk.checksum(weights) == disk.checksum(trained)
  if weights.exists() and not same and not _OVERWRITE.value:
    raise FileExistsError(
      f"{weights} has another codec than {_OUT.value}: {_TO_REPLACE}"
    )
  run.export(weights, _NAME.value)
  print(f"wrote {weights}")


def _check_rate(codec: "Codec", sample_rate: int) -> None:
  if (codec.channels, codec.sample_rate) != (1, sample_rate):
    raise ValueError(
      f"--codec={_CODEC.value}: {codec.channels} channels at "
      f"{codec.sample_rate} Hz; expected a mono codec at {sample_rate} Hz"
    )


def _render(
  cache: pathlib.Path, config: "TrainingConfig", splits: tuple[str, ...]
) -> None:
  from stemgen_jax.codec.training import clips
  from stemgen_jax.data.sources import band

  held_out = max(1, FLAGS.songs // 8)
  source = band.Band(
    seed=config.seed,
    train=FLAGS.songs,
    valid=held_out,
    test=0,
    seconds=_SONG_SECONDS.value,
    sample_rate=config.network.sample_rate,
    soundfonts=tuple(FLAGS.soundfont),
  )
  rate = config.network.sample_rate
  rendered = clips.render(source, cache, rate, splits)
  total = held_out + FLAGS.songs * ("train" in splits)
  for _ in tqdm.tqdm(rendered, desc="rendering", total=total, unit="song"):
    pass


def _train(run: "Training") -> bool:
  """Trains until the end, SIGTERM or Ctrl-C; whether it got to the end."""
  stop = []
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.append(True))
  saved = time.monotonic()
  with tqdm.tqdm(
    run.run(),
    initial=run.step,
    total=run.config.steps,
    desc="training",
    unit="step",
    mininterval=1.0,
  ) as bar:
    for figures in bar:
      shown = {k: f"{figures[k]:.3g}" for k in _SHOWN if k in figures}
      bar.set_postfix(shown, refresh=False)
      if time.monotonic() - saved > 60 * _CHECKPOINT_MINUTES.value:
        run.save()
        saved = time.monotonic()
      if stop:
        break
  run.save()
  if run.step < run.config.steps:
    print(f"stopped at step {run.step}, saved; the same command goes on")
    return False
  return True


def _report(
  config: "TrainingConfig",
  out: pathlib.Path,
  cache: pathlib.Path,
  files: list[pathlib.Path],
) -> None:
  """Judges the run's codec, or that of --codec, and writes report.json."""
  from stemgen_jax import codec
  from stemgen_jax.codec.training import clips, loop, report

  importlib.import_module(
    "stemgen_jax.codec.training.agreement"
  )  # extra packages
  rate = config.network.sample_rate
  samples = _CLIP_SECONDS * rate
  recordings = report.clips_of_files(files, rate, samples) if files else None
  tested = None
  if _CODEC.value:
    tested = codec.load(_CODEC.value)
    _check_rate(tested, rate)
  elif not loop.steps_done(out):
    raise FileNotFoundError(
      f"no checkpoint in {out}: train first, or name a codec, as --codec=demo"
    )
  _render(cache, config, ("valid",) if tested else ("train", "valid"))
  if tested is None:
    run = loop.Training(config, _heard(config, cache), out)
    with tempfile.TemporaryDirectory() as folder:
      weights = pathlib.Path(folder) / "codec.safetensors"
      run.export(weights, _NAME.value)
      tested = codec.load(weights)
  held_out = clips.Clips(cache, "valid", samples, config.seed)
  results = report.report(tested, held_out)
  if recordings is not None:
    results["files"] = report.judge(tested, recordings)
  about = {"codec": tested.name, "checksum": tested.checksum}
  path = out / "report.json"
  disk.write_json(path, about | results)
  for category, figures in results.items():
    print(f"{category:22}", *(f"{k} {v} " for k, v in figures.items()))
  print(f"wrote {path}")
