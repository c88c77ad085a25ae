"""The work of `stemgen-jax train_coherence`: train, export, report."""

import dataclasses
import pathlib

from stemgen_jax import disk, paths, progress, small_runs, text_tables
from stemgen_jax.coherence import weights as weights_lib
from stemgen_jax.coherence.training import corpus, loop, report
from stemgen_jax.coherence.training.config import TrainingConfig

_SHOWN = ("loss", "other", "chords", "shifted")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
  """A run of training, or the report of one.

  Attributes:
    config: configuration of the training.
    out: folder of the run.
    source: source of songs with the splits "train" and "valid".
    cache: folder of the songs' spectra.
  """

  config: TrainingConfig
  out: pathlib.Path
  source: corpus.Source
  cache: pathlib.Path

  def songs(self, split: str) -> list[corpus.Song]:
    """Return the songs of a split; render those that are not cached yet."""
    for _ in progress.bar(
      corpus.render(self.source, self.cache, (split,)),
      desc="rendering",
      total=len(self.source.numbers(split)),
      unit="song",
      seconds=0.1,
    ):
      pass
    return corpus.load(self.cache, self.source.numbers(split))

  def training(self) -> loop.Training:
    """Start the training, or resume it from its checkpoint."""
    return loop.Training(self.config, self.songs("train"), self.out)


def train(
  job: Job, weights: pathlib.Path, *, overwrite: bool, checkpoint_minutes: float
) -> None:
  """Train, and export the weights at the end.

  Args:
    job: run of training.
    weights: .safetensors file to export.
    overwrite: replace existing weights.
    checkpoint_minutes: minutes between checkpoints.

  Raises:
    FileExistsError: `weights` exists and `overwrite` is False.
  """
  # The end of this very run may be exported again.
  done = small_runs.steps_done(job.out) >= job.config.steps
  if weights.exists() and not done and not overwrite:
    raise FileExistsError(
      f"{weights} exists: give another --export, or --overwrite"
    )
  run = job.training()
  if not small_runs.train(run, job.out, _SHOWN, checkpoint_minutes):
    return
  run.export(weights)
  print(f"wrote {weights}")


def write_report(job: Job, weights: str | None) -> None:
  """Measure the run's model, or other weights, and write report.json.

  Args:
    job: run of training; only its held-out songs are used for other weights.
    weights: "package" or a .safetensors file, to measure instead of the run.

  Raises:
    FileNotFoundError: the run has no checkpoint, or there are no such weights.
  """
  if weights:
    path = paths.COHERENCE if weights == "package" else weights
    network = weights_lib.load(path)
  elif small_runs.steps_done(job.out):
    network = job.training().network
  else:
    raise FileNotFoundError(
      f"no checkpoint in {job.out}: train first, or give --weights=package"
    )
  songs = job.songs("valid")
  found = report.report(network, songs, job.config.seed)
  path = job.out / "report.json"
  disk.write_json(path, {"songs": len(songs), "won": found})
  print(text_tables.markdown(report.rows(found), report.HEADER))
  print(f"wrote {path}")
