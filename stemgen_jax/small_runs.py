"""Runs that train on one machine: songs, checkpoint, log, and the loop."""

import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from stemgen_jax import disk, progress, recipes, signals

CHECKPOINT = "checkpoint.safetensors"
"""Name of the checkpoint in the folder of a run."""
FIX = "restore a copy, or start again in another folder"
FIX_CACHE = "delete the folder"
_INDEX = "index.json"
_LOG = "log.jsonl"
_LOG_EVERY = 10  # steps


class Run(Protocol):
  """A run of training."""

  step: int
  config: Any  # with `steps`

  def run(self) -> Iterator[dict[str, float]]:
    """Train to the last step; yield the figures of each step."""
    ...

  def save(self) -> None:
    """Write the checkpoint."""


def train(
  run: Run, folder: pathlib.Path, shown: Sequence[str], minutes: float
) -> bool:
  """Train to the end, or until SIGTERM or Ctrl-C; save either way.

  Args:
    run: new or resumed run.
    folder: its folder.
    shown: names of the figures in the progress bar.
    minutes: time between checkpoints.

  Returns:
    Whether the run has ended.

  Raises:
    OSError: the disk is full.
  """
  if run.step:
    print(f"resuming from step {run.step}", flush=True)
  try:
    _train(run, shown, minutes)
  except OSError as error:
    if not (full := disk.why_full(error)):
      raise
    what, remedy = full
    raise OSError(
      f"{what}: {folder} cannot be written; the last checkpoint is of step "
      f"{steps_done(folder)}; {remedy}, then the same command resumes ({error})"
    ) from error
  if run.step < run.config.steps:
    print(f"stopped at step {run.step}, saved; the same command resumes it")
    return False
  return True


def rendered_songs(folder: pathlib.Path, recipe: str) -> dict[str, dict]:
  """Return what the index of a cache of songs has for a recipe.

  Args:
    folder: cache; one without an index has no songs so far.
    recipe: everything that the songs depend on.

  Raises:
    ValueError: the cache has other songs, or its index is corrupt.
  """
  if not (folder / _INDEX).exists():
    return {}
  found, songs = _read_index(folder)
  if found != recipe:
    raise ValueError(
      f"{folder} has songs of {found}, not of {recipe}: give another --cache, "
      "or delete it"
    )
  return songs


def all_songs(folder: pathlib.Path) -> dict[str, dict]:
  """Return the songs in the index of a cache; raise ValueError if corrupt."""
  return _read_index(folder)[1]


def write_index(
  folder: pathlib.Path, recipe: str, songs: dict[str, dict]
) -> None:
  """Write the index of a cache of songs, see `rendered_songs`."""
  disk.write_json(folder / _INDEX, {"recipe": recipe, "songs": songs})


def _read_index(folder: pathlib.Path) -> tuple[str, dict[str, dict]]:
  index = disk.read_json(folder / _INDEX, FIX_CACHE)
  try:
    return index["recipe"], index["songs"]
  except KeyError as error:
    raise ValueError(
      f"{folder / _INDEX} is corrupt (no {error}): {FIX_CACHE}"
    ) from error


def logged(
  run: Run, folder: pathlib.Path, advance: Callable[[], dict[str, float]]
) -> Iterator[dict[str, float]]:
  """Take the steps of a run; log and yield the figures of each.

  Args:
    run: new or resumed run.
    folder: its folder, which gets `log.jsonl`.
    advance: takes a step and counts it in `run.step`; returns its figures.
  """
  path = folder / _LOG
  # A killed run logged steps after its checkpoint.
  disk.cut_log(path, lambda line: line["step"] <= run.step)
  with open(path, "a") as log:
    while run.step < run.config.steps:
      started = time.monotonic()
      figures = advance()
      figures["seconds"] = time.monotonic() - started
      if run.step % _LOG_EVERY == 0 or run.step == run.config.steps:
        rounded = {k: float(f"{value:.4g}") for k, value in figures.items()}
        log.write(json.dumps({"step": run.step, **rounded}) + "\n")
        log.flush()
      yield figures


def _train(run: Run, shown: Sequence[str], minutes: float) -> None:
  saved, first = time.monotonic(), run.step + 1
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
      if run.step == first:
        progress.restart(bar, first)
      texts = {k: f"{figures[k]:.3g}" for k in shown if k in figures}
      bar.set_postfix(texts, refresh=False)
      if time.monotonic() - saved > 60 * minutes:
        run.save()
        saved = time.monotonic()
      if stop.asked:
        break
    run.save()


def metadata(state: dict[str, Any], tensors: Mapping[str, Any]) -> dict:
  """Return the metadata of a checkpoint's file, with checksums.

  Args:
    state: values that JSON can represent, with `step` and `config`.
    tensors: arrays or CPU tensors of the checkpoint.
  """
  sealed = recipes.sealed(state | {"checksum": _checksum(tensors)})
  return {"progress": json.dumps(sealed)}


def read(
  folder: pathlib.Path, framework: str = "np"
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Return state and tensors of a checkpoint, for numpy or "pt".

  Raises:
    ValueError: it is corrupt.
  """
  path = folder / CHECKPOINT
  with disk.open_tensors(path, FIX, framework) as file:
    state = disk.parse_json(file.metadata()["progress"])
    tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
  state = recipes.check_seal(path, state, FIX)
  stated = state.get("checksum")  # missing in earlier versions
  if stated is not None and stated != _checksum(tensors):
    raise ValueError(f"{path} is corrupt (it has another checksum): {FIX}")
  return state, tensors


def steps_done(folder: pathlib.Path) -> int:
  """Return the steps of the run in a folder; 0 if there is none.

  Raises:
    ValueError: its checkpoint is corrupt.
  """
  path = folder / CHECKPOINT
  if not path.exists():
    return 0
  with disk.open_tensors(path, FIX) as file:
    state = disk.parse_json(file.metadata()["progress"])
  return recipes.check_seal(path, state, FIX)["step"]


def _checksum(tensors: Mapping[str, Any]) -> str:
  digest = hashlib.sha256()
  for name, tensor in sorted(tensors.items()):
    digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
    digest.update(np.asarray(tensor).tobytes())
  return digest.hexdigest()
