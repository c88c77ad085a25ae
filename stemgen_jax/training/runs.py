"""The weights of a run, from its checkpoints, and what is known of them."""

import dataclasses
import os
import pathlib
from typing import Any

from stemgen_jax import paths
from stemgen_jax.model import ModelConfig, Weights, load_weights
from stemgen_jax.training import metrics
from stemgen_jax.training.checkpoint import About, Checkpoints, state_like
from stemgen_jax.training.history import validations


def load_run(run: str | os.PathLike, step: str | int = "best") -> Weights:
  """The averaged weights of a checkpoint.

  Args:
    run: Folder of the run.
    step: The checkpoint's; "last"; or "best", of the highest validation
      accuracy, which is the last where nothing was validated.

  Returns:
    The weights, whose `metadata` says what the run knows of them.

  Raises:
    FileNotFoundError: no such run, or no checkpoint of this step.
    ValueError: the checkpoint is damaged or another version's.
  """
  run = pathlib.Path(run)
  if not paths.is_run(run):
    raise FileNotFoundError(f"no run at {run}: it has no folder checkpoints")
  with Checkpoints(run) as checkpoints:
    wanted = {"best": checkpoints.best, "last": None}.get(str(step), step)
    number, about = checkpoints.about(wanted if wanted is None else int(wanted))
    state = checkpoints.load(number, state_like(about.config))
  # How to attend is the playing machine's matter, see `load_weights`.
  config = dataclasses.replace(about.config.model, attention="auto")
  return Weights(config, state["ema"], _metadata(run, number, about))


def load_start(path: str | os.PathLike, config: ModelConfig) -> Weights:
  """Weights that a run with this model can start from.

  Args:
    path: "demo", exported weights, or the folder of a run.
    config: Shape of the model that will be trained.

  Raises:
    FileNotFoundError: there are none.
    ValueError: they are damaged, or of another codec or shape.
  """
  weights = load_run(path) if paths.is_run(path) else load_weights(path)
  try:
    weights.check_codec(config.codec, config.codec_checksum)
  except ValueError as error:
    raise ValueError(f"--start={path}: {error}") from error
  theirs, ours = (dataclasses.asdict(x) for x in (weights.config, config))
  different = [
    name for name in ours if name not in _FREE and theirs[name] != ours[name]
  ]
  if different:
    flags = " ".join(f"--config.model.{x}={theirs[x]}" for x in different)
    raise ValueError(
      f"--start={path}: another model than this run's; to train that one, "
      f"give {flags}"
    )
  return weights


# What weights may be used with other than they were trained with.
_FREE = {"window", "attention", "remat", "dtype", "codec"}


def _metadata(run: pathlib.Path, step: int, about: About) -> dict[str, Any]:
  lines = [
    line for line in metrics.read_log(run / "log.jsonl") if line["step"] <= step
  ]

  def last(kind: str) -> dict[str, Any]:
    return next((x for x in reversed(lines) if x["kind"] == kind), {})

  starts = [x for x in lines if x["kind"] == "start"]
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
    "data": about.data,
    "validation": last("validation"),
    "course": validations(lines),
    "command": starts[0]["command"] if starts else "",
    "devices": starts[-1]["devices"] if starts else "",
    "start": config.start,
  }
