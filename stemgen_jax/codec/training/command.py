"""The work of `stemgen-jax train_codec`: train, export, report."""

import dataclasses
import importlib
import pathlib
import tempfile
from collections.abc import Mapping, Sequence

from stemgen_jax import codec, disk, progress, small_runs
from stemgen_jax.codec.training import clips, loop, pitch_classes, report
from stemgen_jax.codec.training.config import TrainingConfig

_REPORT_SECONDS = 2  # of a clip
_TO_REPLACE = (
  "give another --export; or --overwrite, if nothing was encoded with it"
)
_SHOWN = ("waveform", "log_mel", "perplexity_0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
  """A run of training, or the report of one.

  Attributes:
    config: configuration of the training.
    out: folder of the run.
    name: name of the exported codec.
    source: source of songs with the splits "train" and "valid".
    songs: number of songs by split.
    cache: folder of the rendered songs.
  """

  config: TrainingConfig
  out: pathlib.Path
  name: str
  source: clips.Songs
  songs: Mapping[str, int]
  cache: pathlib.Path

  def render(self, *splits: str) -> None:
    """Render the songs of some splits that are not in the cache yet."""
    rate = self.config.network.sample_rate
    rendered = clips.render(self.source, self.cache, rate, splits)
    total = sum(self.songs[split] for split in splits)
    for _ in progress.bar(
      rendered, desc="rendering", total=total, unit="song", seconds=0.1
    ):
      pass

  def training(self) -> loop.Training:
    """Start the training, or resume it from its checkpoint."""
    config = self.config
    samples = config.frames * config.network.hop
    train = clips.Clips(self.cache, "train", samples, config.seed)
    return loop.Training(config, train, self.out)


def train(
  job: Job, weights: pathlib.Path, *, overwrite: bool, checkpoint_minutes: float
) -> None:
  """Train, and export the weights at the end.

  Args:
    job: run of training.
    weights: .safetensors file to export.
    overwrite: replace weights of another codec.
    checkpoint_minutes: minutes between checkpoints.

  Raises:
    FileExistsError: `weights` has another codec and `overwrite` is False.
  """
  # Before hours of training. The end of this very run may be exported again.
  done = small_runs.steps_done(job.out) >= job.config.steps
  if weights.exists() and not done and not overwrite:
    raise FileExistsError(f"{weights} exists: {_TO_REPLACE}")
  job.render("train", "valid")
  run = job.training()
  if not small_runs.train(run, job.out, _SHOWN, checkpoint_minutes):
    return
  with tempfile.TemporaryDirectory() as folder:
    trained = pathlib.Path(folder) / "codec.safetensors"
    run.export(trained, job.name)
    same = weights.exists() and disk.checksum(weights) == disk.checksum(trained)
  if weights.exists() and not same and not overwrite:
    raise FileExistsError(
      f"{weights} has another codec than {job.out}: {_TO_REPLACE}"
    )
  run.export(weights, job.name)
  print(f"wrote {weights}")


def write_report(
  job: Job, codec_name: str | None, files: Sequence[pathlib.Path]
) -> None:
  """Measure the run's codec, or another one, and write report.json.

  Args:
    job: run of training; only its held-out songs are used for another codec.
    codec_name: name or file of a codec to measure instead of the run's.
    files: recordings to measure as well.

  Raises:
    FileNotFoundError: the run has no checkpoint.
    ModuleNotFoundError: librosa or mir_eval is missing.
    ValueError: the codec has another format than the run.
  """
  # Before the songs are rendered: it needs optional packages.
  importlib.import_module("stemgen_jax.codec.training.agreement")
  config = job.config
  rate = config.network.sample_rate
  samples = _REPORT_SECONDS * rate
  recordings = report.clips_of_files(files, rate, samples) if files else None
  if codec_name:
    tested = codec.load(codec_name)
    if (tested.channels, tested.sample_rate) != (1, rate):
      raise ValueError(
        f"--codec={codec_name}: {tested.channels} channels at "
        f"{tested.sample_rate} Hz; expected a mono codec at {rate} Hz"
      )
    job.render("train", "valid")
  elif not small_runs.steps_done(job.out):
    raise FileNotFoundError(
      f"no checkpoint in {job.out}: train first, or give a codec, as "
      "--codec=demo"
    )
  else:
    job.render("train", "valid")
    # As anybody would load it: export and load.
    with tempfile.TemporaryDirectory() as folder:
      weights = pathlib.Path(folder) / "codec.safetensors"
      job.training().export(weights, job.name)
      tested = codec.load(weights)
  held_out = clips.Clips(job.cache, "valid", samples, config.seed)
  results = report.report(tested, held_out)
  notes = pitch_classes.auc(tested, job.source.songs(), job.cache)
  for category, value in notes.items():
    results[category]["pitch_class_auc"] = value
  if recordings is not None:
    results["files"] = report.judge(tested, recordings)
  about = {"codec": tested.name, "checksum": tested.checksum}
  path = job.out / "report.json"
  disk.write_json(path, about | results)
  for category, figures in results.items():
    print(f"{category:22}", *(f"{k} {v} " for k, v in figures.items()))
  print(f"wrote {path}")
