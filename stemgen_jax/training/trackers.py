"""Services that a run also sends its figures to: MLflow, trackio and W&B.

Each has a thread of its own and is imported there. One that fails is reported
once; neither its errors nor its delays reach the run. The name of the run at
each service is in `trackers.json`, so that a resumed run continues it.
"""

import importlib.util
import os
import pathlib
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from stemgen_jax import disk

_PROJECT = "stemgen-jax"
_PATIENCE = 30.0  # seconds for what is left to send when the run ends


class Service(Protocol):
  """A run at a service."""

  def log(self, metrics: dict[str, float], *, step: int) -> object:
    """Send figures of a step."""
    ...

  def finish(self) -> object:
    """Send what is left."""
    ...


# Folder of the run, its configuration, and its name at the service if it is
# resumed; returns the run and this name.
Start = Callable[
  [pathlib.Path, dict[str, Any], str | None], tuple[Service, str]
]


def _mlflow(
  out: pathlib.Path, config: dict[str, Any], known: str | None
) -> tuple[Service, str]:
  import mlflow  # type: ignore

  class Run:
    def log(self, metrics: dict[str, float], *, step: int) -> None:
      mlflow.log_metrics(metrics, step=step)

    def finish(self) -> None:
      mlflow.end_run()

  mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT))
  run = mlflow.start_run(run_id=known, run_name=None if known else out.name)
  if not known:
    mlflow.log_params(config)  # those of a run cannot change
  return Run(), run.info.run_id


def _trackio(
  out: pathlib.Path, config: dict[str, Any], known: str | None
) -> tuple[Service, str]:
  import trackio  # type: ignore

  run = trackio.init(
    os.environ.get("TRACKIO_PROJECT", _PROJECT),
    name=known or f"{out.name}-{uuid.uuid4().hex[:6]}",
    config=config,
    resume="allow",
    embed=False,  # no page in the output
  )
  return run, run.name


def _wandb(
  out: pathlib.Path, config: dict[str, Any], known: str | None
) -> tuple[Service, str]:
  import wandb  # type: ignore

  run = wandb.init(
    project=os.environ.get("WANDB_PROJECT", _PROJECT),
    name=out.name,
    id=known or uuid.uuid4().hex[:8],
    resume="allow",
    dir=os.fspath(out),
    config=config,
    # Errors of the run are printed by the run.
    settings=wandb.Settings(console="off"),
  )
  return run, run.id


_STARTS: dict[str, Start] = {
  "mlflow": _mlflow,
  "trackio": _trackio,
  "wandb": _wandb,
}


def parse(text: str) -> tuple[str, ...]:
  """Return the names in --trackers.

  Raises:
    ValueError: a name is unknown, or its package is not installed.
  """
  names = tuple(dict.fromkeys(x.strip() for x in text.split(",") if x.strip()))
  for name in names:
    if name not in _STARTS:
      raise ValueError(
        f"--trackers={name}: expected one of {', '.join(_STARTS)}"
      )
    if importlib.util.find_spec(name) is None:
      raise ValueError(
        f"--trackers={name}: {name} is not installed; run: pip install -e "
        f"'.[{name}]' -c launch/constraints.txt"
      )
  return names


class Trackers:
  """Send the figures of a run to services.

  Args:
    names: services, from `parse`.
    out: folder of the run.
    config: configuration of the run, by field.
    warn: called with the line about a service that failed.
  """

  def __init__(
    self,
    names: Sequence[str],
    out: pathlib.Path,
    config: Mapping[str, Any],
    warn: Callable[[str], None],
  ):
    self._path = out / "trackers.json"
    self._lock = threading.Lock()
    self._threads: list[tuple[threading.Thread, queue.SimpleQueue]] = []
    self._warn = warn
    for name in names:
      waiting: queue.SimpleQueue = queue.SimpleQueue()
      thread = threading.Thread(
        target=self._send, args=(name, out, dict(config), waiting), daemon=True
      )
      thread.start()
      self._threads.append((thread, waiting))

  def log(self, step: int, figures: dict[str, float]) -> None:
    """Send figures, without waiting."""
    for _, waiting in self._threads:
      waiting.put((step, figures))

  def close(self) -> None:
    """Wait a limited time for what is left to send."""
    until = time.monotonic() + _PATIENCE
    for _, waiting in self._threads:
      waiting.put(None)
    for thread, _ in self._threads:
      thread.join(max(0.0, until - time.monotonic()))
      if thread.is_alive():
        self._warn(
          f"warning: a tracker did not answer for {_PATIENCE:g} s; it may lack "
          "figures; log.jsonl has all"
        )

  def _send(
    self,
    name: str,
    out: pathlib.Path,
    config: dict[str, Any],
    waiting: queue.SimpleQueue,
  ) -> None:
    try:
      service, run = _STARTS[name](out, config, self._known().get(name))
      self._remember(name, run)
      while (item := waiting.get()) is not None:
        step, figures = item
        service.log(figures, step=step)
      service.finish()
    except (Exception, SystemExit) as error:
      lines = str(error).strip().splitlines() or [""]
      self._warn(
        f"warning: {name} failed ({type(error).__name__}: {lines[0][:160]}); "
        "the run continues without it; log.jsonl has all figures"
      )

  def _known(self) -> dict[str, str]:
    with self._lock:
      return self._read()

  def _remember(self, name: str, run: str) -> None:
    with self._lock:
      disk.write_json(self._path, self._read() | {name: run})

  def _read(self) -> dict[str, str]:
    if not self._path.is_file():
      return {}
    return disk.read_json(self._path, "delete it")
