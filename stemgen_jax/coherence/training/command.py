"""The work of `stemgen-jax train_coherence`: train, export, report."""

import dataclasses
import pathlib
import time

from stemgen_jax import disk, paths, progress, signals, text_tables
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
  done = loop.steps_done(job.out) >= job.config.steps
  if weights.exists() and not done and not overwrite:
    raise FileExistsError(
      f"{weights} exists: give another --export, or --overwrite"
    )
  run = job.training()
  if run.step:
    print(f"resuming from step {run.step}", flush=True)
  try:
    _run(run, checkpoint_minutes)
  except OSError as error:
    if not disk.is_full(error):
      raise
    raise OSError(
      f"disk full: {job.out} cannot be written; the last checkpoint is of step "
      f"{loop.steps_done(job.out)}; free some space, then the same command "
      f"resumes ({error})"
    ) from error
  if run.step < job.config.steps:
    print(f"stopped at step {run.step}, saved; the same command resumes it")
    return
  run.export(weights)
  print(f"wrote {weights}")


def _run(run: loop.Training, checkpoint_minutes: float) -> None:
  """Train to the end, or until SIGTERM or Ctrl-C; save either way."""
  saved = time.monotonic()
  with (
    signals.requests(insist=False) as stop,
    progress.bar(
      run.run(),
      initial=run.step,
      total=run.config.steps,
      desc="training",
      unit="step",
      seconds=1.0,
    ) as bar,
  ):
    for figures in bar:
      shown = {k: f"{figures[k]:.3g}" for k in _SHOWN}
      bar.set_postfix(shown, refresh=False)
      if time.monotonic() - saved > 60 * checkpoint_minutes:
        run.save()
        saved = time.monotonic()
      if stop.asked:
        break
    run.save()


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
  elif loop.steps_done(job.out):
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
