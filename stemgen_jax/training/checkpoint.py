"""Checkpoints of a run: the one module that knows Orbax.

A checkpoint is one folder, written in the background and moved into place
whole, so that a run killed at any moment finds its last complete one. It
carries checksums of its own: of large arrays, Orbax loads what the disk gives,
right or wrong.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from stemgen_jax.training.config import TrainConfig, from_dict
from stemgen_jax.training.step import init_state

# Raised when older versions of this program could not read a checkpoint.
FORMAT = 1

_FOLDER, _ASIDE = "checkpoints", "set_aside"
_MOST = 200  # letters of another library's complaint


@dataclasses.dataclass(frozen=True)
class About:
  """What a checkpoint says of itself, beside the state.

  Attributes:
    config: The run's, resolved.
    data: Summary of the data set.
    position: State of the iterator over the batches.
  """

  config: TrainConfig
  data: dict[str, Any]
  position: Any


class Checkpoints:
  """The checkpoints in the folder of a run: the latest `keep`, and the best.

  Args:
    run: Folder of the run; the checkpoints lie in `run/checkpoints`.
    keep: How many to keep.
    clean: Remove what a killed run has written halfway. Not for readers: what
      is half written may be the work of a run that is alive.

  Use as a context manager: leaving it waits for writes under way.
  """

  def __init__(
    self, run: str | os.PathLike, *, keep: int = 3, clean: bool = False
  ):
    self.folder = pathlib.Path(run).absolute() / _FOLDER
    # When to save is the loop's decision. (Orbax's own types disagree.)
    always: Any = ocp.training.save_decision_policies.FixedIntervalPolicy(1)
    policies: Any = ocp.training.preservation_policies
    best = policies.BestN(
      get_metric_fn=lambda metrics: metrics["accuracy"],
      n=1,
      keep_checkpoints_without_metrics=False,
    )
    kept = policies.AnyPreservationPolicy([policies.LatestN(keep), best])
    self._orbax = ocp.training.Checkpointer(
      str(self.folder),
      save_decision_policy=always,
      preservation_policy=kept,
      cleanup_tmp_directories=clean,
    )

  def __enter__(self) -> "Checkpoints":
    return self

  def __exit__(self, *_: object) -> None:
    self._orbax.close()

  @property
  def latest(self) -> int | None:
    """The last step that was saved whole, or None."""
    latest = self._orbax.latest
    return None if latest is None else latest.step

  @property
  def best(self) -> int | None:
    """The step that was saved with the highest accuracy, or None."""
    saved: Any = self._orbax.checkpoints
    measured = {x.step: x.metrics["accuracy"] for x in saved if x.metrics}
    return max(measured, key=lambda step: measured[step], default=None)

  def save(
    self,
    step: int,
    state: Any,
    about: About,
    *,
    accuracy: float | None = None,
  ) -> None:
    """Starts to write; the state may be donated once this returns.

    Args:
      step: Of the state.
      state: What `load` gives back.
      about: Its description.
      accuracy: Its validation accuracy, if that is the best so far.
    """
    if step == self.latest:
      return
    words = {
      "format": FORMAT,
      "config": dataclasses.asdict(about.config),
      "data": about.data,
      "position": about.position,
      "state_checksum": int(_checksum(state)),
    }
    words = json.loads(json.dumps(words))  # as it will be read
    words["checksum"] = _digest(words)
    self._orbax.save_async(
      step,
      state,
      metrics=None if accuracy is None else {"accuracy": accuracy},
      custom_metadata=words,
    )

  def about(self, step: int | None = None) -> tuple[int, About]:
    """Step and description of a checkpoint, by default of the last.

    Raises:
      FileNotFoundError: if there is none, or not of this step.
      ValueError: if it is damaged or was written by another version; says
        which other step can be gone on from.
    """
    step = self._resolve(step)
    try:
      return step, self._read(step)[0]
    except Exception as error:  # Orbax raises whatever lies below it raises
      raise self._unusable(step, error) from error

  def load(self, step: int, like: Any) -> Any:
    """The state of a step.

    Args:
      step: One that was saved.
      like: Tree of `jax.ShapeDtypeStruct` with the shardings wanted, which
        need not be those it was saved with.

    Raises:
      FileNotFoundError: if there is no such step.
      ValueError: as of `about`.
    """
    step = self._resolve(step)
    try:
      return self._load(step, like)
    except Exception as error:
      raise self._unusable(step, error) from error

  def go_back(self, step: int) -> None:
    """Makes a step the last one: later ones move to `run/set_aside`.

    Raises:
      FileNotFoundError: if there is no such step.
      ValueError: as of `about`; nothing is moved then.
    """
    _, about = self.about(step)
    self.load(step, state_like(about.config))
    aside = self.folder.parent / _ASIDE
    if jax.process_index() == 0:
      for later in (x for x in self._steps() if x > step):
        aside.mkdir(exist_ok=True)
        os.replace(self.folder / str(later), _unused(aside / str(later)))
    if jax.process_count() > 1:
      multihost_utils.sync_global_devices("checkpoints set aside")
    self._orbax.reload()

  def _steps(self) -> list[int]:
    return [checkpoint.step for checkpoint in self._orbax.checkpoints]

  def _resolve(self, step: int | None) -> int:
    steps = self._steps()
    if not steps:
      raise FileNotFoundError(f"no checkpoint in {self.folder}")
    if step is not None and step not in steps:
      raise FileNotFoundError(
        f"no checkpoint of step {step} in {self.folder}; there are "
        f"{', '.join(map(str, sorted(steps)))}"
      )
    return max(steps) if step is None else step

  def _read(self, step: int) -> tuple[About, int]:
    """What it says of itself, and the checksum of its state."""
    words: Any = self._orbax.metadata(step).custom_metadata
    if not isinstance(words, dict) or "config" not in words:
      raise ValueError("its description is missing")
    if words.get("format") != FORMAT:
      raise ValueError(
        f"it has format {words.get('format')}, and this version of "
        f"stemgen-jax reads format {FORMAT}"
      )
    checksum = words.pop("checksum", None)
    if checksum != _digest(words):
      raise ValueError("its description is damaged")
    about = About(from_dict(words["config"]), words["data"], words["position"])
    return about, words["state_checksum"]

  def _load(self, step: int, like: Any) -> Any:
    _, checksum = self._read(step)
    state = self._orbax.load(step, like)
    if int(_checksum(state)) != checksum:
      raise ValueError("its arrays are damaged: their checksum is another")
    return state

  def _unusable(self, step: int, error: Exception) -> ValueError:
    good = self._last_good_before(step)
    if good is None:
      advice = "no earlier one can be used; give another --out for a new run"
    else:
      advice = (
        f"the last good one is of step {good}: train --restore_step={good} "
        f"goes on from it, export --step={good} takes it"
      )
    cause = " ".join(str(error).split())
    if len(cause) > _MOST:
      cause = cause[:_MOST] + " ..."
    return ValueError(
      f"{self.folder / str(step)}: cannot be used ({cause}); {advice}"
    )

  def _last_good_before(self, step: int) -> int | None:
    for other in sorted(self._steps(), reverse=True):
      if other < step:
        try:
          about, _ = self._read(other)
          self._load(other, state_like(about.config))
        except Exception:
          continue
        return other
    return None


def state_like(config: TrainConfig) -> Any:
  """Shapes and shardings of a run's state, as `Checkpoints.load` wants."""
  init = functools.partial(init_state, config, codebooks=None)
  return abstract(init, jax.random.key(0))


@jax.jit
def _checksum(state: Any) -> jax.Array:
  """Of every bit of the state, the same on every mesh."""
  total = jnp.zeros((), jnp.uint32)
  for number, x in enumerate(jax.tree.leaves(state)):
    unsigned = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32)
    # Odd factors: what moves from one array to another counts, too.
    total += jnp.uint32(2 * number + 1) * bits.sum(dtype=jnp.uint32)
  return total


def _digest(words: dict[str, Any]) -> str:
  text = json.dumps(words, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def _unused(path: pathlib.Path) -> pathlib.Path:
  number, free = 1, path
  while free.exists():
    free, number = path.with_name(f"{path.name}.{number}"), number + 1
  return free


def abstract(function: Any, *args: Any) -> Any:
  """What `jax.jit(function)(*args)` would return, as shapes and shardings."""
  mesh = jax.sharding.get_mesh()

  def concrete(x: Any) -> jax.ShapeDtypeStruct:
    if mesh.empty:
      sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    else:
      spec = jax.P() if x.sharding is None else x.sharding.spec
      sharding = jax.NamedSharding(mesh, spec)
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

  return jax.tree.map(concrete, jax.eval_shape(function, *args))
