"""The weights and metadata of a run, read from its checkpoints and log."""

import dataclasses
import os
import pathlib
from typing import Any

from stemgen_jax import paths
from stemgen_jax.model import ModelConfig, Weights, load_weights
from stemgen_jax.model.weights import (
  with_beats,
  with_conditions,
  with_future,
)
from stemgen_jax.training import metrics
from stemgen_jax.training.checkpoint import About, Checkpoints, state_like
from stemgen_jax.training.history import validations


def load_run(run: str | os.PathLike, step: str | int = "best") -> Weights:
  """Load the averaged weights of a checkpoint.

  Args:
    run: folder of the run.
    step: step of the checkpoint; "last"; or "best" for the highest validation
      accuracy, which is the last without validations.

  Returns:
    The weights, with the facts of a model card in `metadata`.

  Raises:
    FileNotFoundError: run or checkpoint not found.
    ValueError: the checkpoint is corrupt or from another version.
  """
  run = paths.check_run(run)
  with Checkpoints(run) as checkpoints:
    wanted = {"best": checkpoints.best, "last": None}.get(str(step), step)
    number, about = checkpoints.about(wanted if wanted is None else int(wanted))
    state = checkpoints.load(number, state_like(about.config))
  # They depend on the machine, see `load_weights`.
  config = dataclasses.replace(
    about.config.model, attention="auto", dtype="auto"
  )
  return Weights(config, state["ema"], _metadata(run, number, about))


def load_any(path: str | os.PathLike) -> Weights:
  """Load the weights of a run, of a file, or of the package."""
  return load_run(path) if paths.is_run(path) else load_weights(path)


# Fields of the model that may differ from those its weights were trained with.
_MAY_DIFFER = {"window", "attention", "remat", "dtype", "codec"}


def load_start(path: str | os.PathLike, config: ModelConfig) -> Weights:
  """Load initial weights for a run of this model.

  Missing conditions, head of beats and unknown future are added, see
  `with_conditions`, `with_beats` and `with_future`.

  Args:
    path: "demo", "band", exported weights, or the folder of a run.
    config: shape of the model to train.

  Raises:
    FileNotFoundError: weights not found.
    ValueError: they are corrupt, or of another codec or shape.
  """
  weights = load_any(path)
  try:
    weights.check_codec(config.codec, config.codec_checksum)
  except ValueError as error:
    raise ValueError(f"--start={path}: {error}") from error
  if set(weights.config.conditions) < set(config.conditions):
    weights = with_conditions(weights, config.conditions)
  if weights.config.beats != config.beats:
    weights = with_beats(weights, config.beats)
  if config.future and not weights.config.future:
    weights = with_future(weights)
  theirs, ours = (dataclasses.asdict(x) for x in (weights.config, config))
  different = [
    name
    for name in ours
    if name not in _MAY_DIFFER and theirs[name] != ours[name]
  ]
  if different:
    flags = " ".join(f"--config.model.{x}={theirs[x]}" for x in different)
    raise ValueError(
      f"--start={path}: expected a model of this run's shape; to train that "
      f"model, give {flags}"
    )
  return weights


def _metadata(run: pathlib.Path, step: int, about: About) -> dict[str, Any]:
  lines = [
    line for line in metrics.read_log(run / "log.jsonl") if line["step"] <= step
  ]

  def last(kind: str) -> dict[str, Any]:
    return next((x for x in reversed(lines) if x["kind"] == kind), {})

  # The first call's command, but the devices of the last.
  starts = [x for x in lines if x["kind"] == "start"]
  # Runs of earlier versions may lack entries.
  counts = about.data.get("categories", {})
  config = about.config
  return {
    "steps": step,
    "batch": config.batch,
    "codec": config.model.codec,
    "codec_checksum": config.model.codec_checksum,
    "categories": [name for name, count in counts.items() if count],
    "context_rms_db": about.data.get("context_rms_db"),
    "scale_ratio": about.data.get("scale_ratio", {}),
    "loudness": about.data.get("loudness", {}),
    "roles": about.data.get("roles", {}),
    "data": about.data,
    "validation": last("validation"),
    "course": validations(lines),  # The name in files since version 0.1.
    "command": starts[0]["command"] if starts else "",
    "devices": starts[-1]["devices"] if starts else "",
    "dtype": config.model.dtype,
    "start": config.start,
  }
