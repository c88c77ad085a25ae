"""Checkpoints of a run: the only module that uses Orbax.

A checkpoint is one folder, written in the background and then moved into
place, so that a run killed at any moment finds its last complete one. It has
checksums of its own, because Orbax does not verify the contents of large
arrays.
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

# Increased whenever older versions could not read a checkpoint. Format 1 has a
# checksum that does not depend on the order of the values.
FORMAT = 2

_FOLDER, _ASIDE = "checkpoints", "set_aside"
_MOST = 200  # Characters of another library's message.


@dataclasses.dataclass(frozen=True)
class About:
  """Description of a checkpoint, stored with the state.

  Attributes:
    config: resolved configuration of the run.
    data: summary of the data set.
    position: state of the iterator over the batches.
  """

  config: TrainConfig
  data: dict[str, Any]
  position: Any


class Checkpoints:
  """The checkpoints in the folder of a run: the latest `keep`, and the best.

  Args:
    run: folder of the run; checkpoints are in `run/checkpoints`.
    keep: number of latest checkpoints to keep.
    clean: whether to remove partial checkpoints of a killed run. Readers must
      not: another process may be writing one.

  Use as a context manager, which waits for pending writes.
  """

  def __init__(
    self, run: str | os.PathLike, *, keep: int = 3, clean: bool = False
  ):
    self.folder = pathlib.Path(run).absolute() / _FOLDER
    # The training loop decides when to save. (Orbax's own types disagree.)
    always: Any = ocp.training.save_decision_policies.FixedIntervalPolicy(1)
    policies: Any = ocp.training.preservation_policies
    best = policies.BestN(
      get_metric_fn=lambda metrics: metrics["accuracy"],
      n=1,
      keep_checkpoints_without_metrics=False,
    )
    # A checkpoint stays if either policy keeps it.
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
    """The last completely saved step, or None."""
    latest = self._orbax.latest
    return None if latest is None else latest.step

  @property
  def best(self) -> int | None:
    """The step saved with the highest accuracy, or None."""
    saved: Any = self._orbax.checkpoints
    measured = {x.step: x.metrics["accuracy"] for x in saved if x.metrics}
    return max(measured, key=lambda step: measured[step], default=None)

  def save(
    self, step: int, state: Any, about: About, *, accuracy: float | None = None
  ) -> None:
    """Start a write; the state may be donated once this returns.

    Args:
      step: step of the state.
      state: tree of arrays.
      about: description of the checkpoint.
      accuracy: validation accuracy, if it is the best so far.
    """
    if step == self.latest:  # At the end of a run, right after a checkpoint.
      return
    description = {
      "format": FORMAT,
      "config": dataclasses.asdict(about.config),
      "data": about.data,
      "position": about.position,
      "state_checksum": int(_checksum(state)),
    }
    # As it will be read, with lists for tuples, so that the checksums agree.
    description = json.loads(json.dumps(description))
    description["checksum"] = _digest(description)
    self._orbax.save_async(
      step,
      state,
      metrics=None if accuracy is None else {"accuracy": accuracy},
      custom_metadata=description,
    )

  def about(self, step: int | None = None) -> tuple[int, About]:
    """Return step and description of a checkpoint, by default the last.

    Raises:
      FileNotFoundError: there is none, or none of this step.
      ValueError: it is corrupt or was written by another version; the message
        names the last good step.
    """
    step = self._resolve(step)
    try:
      return step, self._read(step)[0]
    except Exception as error:  # Orbax raises errors of every layer below it.
      raise self._unusable(step, error) from error

  def load(self, step: int, like: Any) -> Any:
    """Return the state of a step.

    Args:
      step: saved step.
      like: tree of `jax.ShapeDtypeStruct` with the shardings wanted, which may
        differ from those that were saved.

    Raises:
      FileNotFoundError: step not found.
      ValueError: see `about`.
    """
    step = self._resolve(step)
    try:
      return self._load(step, like)
    except Exception as error:
      raise self._unusable(step, error) from error

  def go_back(self, step: int) -> None:
    """Make a step the last one; later ones move to `run/set_aside`.

    Raises:
      FileNotFoundError: step not found.
      ValueError: see `about`; nothing is moved then.
    """
    # Proves that the step is good before later ones move.
    _, about = self.about(step)
    self.load(step, state_like(about.config))
    aside = self.folder.parent / _ASIDE
    if jax.process_index() == 0:
      for later in (x for x in self._steps() if x > step):
        aside.mkdir(exist_ok=True)
        os.replace(self.folder / str(later), _unused(aside / str(later)))
    # No process may list the folder before the first one has moved them.
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

  def _read(self, step: int) -> tuple[About, tuple[int, int]]:
    """Return the description of a step; format and checksum of its state."""
    description: Any = self._orbax.metadata(step).custom_metadata
    if not isinstance(description, dict) or "config" not in description:
      raise ValueError("its description is missing")
    if description.get("format") not in range(1, FORMAT + 1):
      raise ValueError(
        f"it has format {description.get('format')}, and this version of "
        f"stemgen-jax reads formats 1 to {FORMAT}"
      )
    checksum = description.pop("checksum", None)
    if checksum != _digest(description):
      raise ValueError("its description is corrupt")
    about = About(
      from_dict(description["config"]),
      description["data"],
      description["position"],
    )
    return about, (description["format"], description["state_checksum"])

  def _load(self, step: int, like: Any) -> Any:
    _, (version, checksum) = self._read(step)
    state = self._orbax.load(step, like)
    compute = _checksum if version > 1 else _unordered_checksum
    if int(compute(state)) != checksum:
      raise ValueError("its arrays are corrupt: their checksum differs")
    return state

  def _unusable(self, step: int, error: Exception) -> ValueError:
    good = self._last_good_before(step)
    if good is None:
      advice = "no earlier one is good; give another --out for a new run"
    else:
      advice = (
        f"the last good one is of step {good}; use it with train "
        f"--restore_step={good} or export --step={good}"
      )
    cause = " ".join(str(error).split())
    if len(cause) > _MOST:
      cause = cause[:_MOST] + " ..."
    return ValueError(
      f"{self.folder / str(step)}: unusable checkpoint ({cause}); {advice}"
    )

  def _last_good_before(self, step: int) -> int | None:
    for other in sorted(self._steps(), reverse=True):
      if other < step:
        # Only loading verifies the arrays.
        try:
          about, _ = self._read(other)
          self._load(other, state_like(about.config))
        except Exception:
          continue
        return other
    return None


def state_like(config: TrainConfig) -> Any:
  """Return shapes and shardings of a run's state, for `Checkpoints.load`."""
  init = functools.partial(init_state, config, codebooks=None)
  return abstract(init, jax.random.key(0))


@jax.jit
def _checksum(state: Any) -> jax.Array:
  """Return a checksum of all bits and their order, the same on every mesh."""
  # Sums of integers do not depend on the order in which devices add them.
  total = jnp.zeros((), jnp.uint32)
  for number, x in enumerate(jax.tree.leaves(state)):
    unsigned = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32)
    place = jnp.full((), 0x9E3779B9 * (number + 1) % 2**32, jnp.uint32)
    for axis, size in enumerate(x.shape):
      iota = jax.lax.broadcasted_iota(jnp.uint32, x.shape, axis)
      place = jnp.broadcast_to(place, x.shape) * jnp.uint32(size) + iota
    # A one-to-one function of the bits for each place, so that one bit changes
    # the sum; not linear, so that exchanged values do, too.
    mixed = _mixed(bits ^ _mixed(jnp.broadcast_to(place, x.shape)))
    total += mixed.sum(dtype=jnp.uint32)
  return total


def _mixed(x: jax.Array) -> jax.Array:
  """Return a permutation of 32 bits (MurmurHash3's finalizer)."""
  x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
  x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
  return x ^ (x >> 16)


@jax.jit
def _unordered_checksum(state: Any) -> jax.Array:
  """Return the checksum of format 1."""
  # Sums of integers do not depend on the order in which devices add them.
  total = jnp.zeros((), jnp.uint32)
  for number, x in enumerate(jax.tree.leaves(state)):
    unsigned = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32)
    # Different odd factors, so that swapped arrays change the sum.
    total += jnp.uint32(2 * number + 1) * bits.sum(dtype=jnp.uint32)
  return total


def _digest(description: dict[str, Any]) -> str:
  text = json.dumps(description, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def _unused(path: pathlib.Path) -> pathlib.Path:
  number, free = 1, path
  while free.exists():
    free, number = path.with_name(f"{path.name}.{number}"), number + 1
  return free


def abstract(function: Any, *args: Any) -> Any:
  """Return shapes and shardings of `jax.jit(function)(*args)`."""
  mesh = jax.sharding.get_mesh()

  def concrete(x: Any) -> jax.ShapeDtypeStruct:
    # Orbax needs shardings, which eval_shape leaves out without a mesh.
    if mesh.empty:
      sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    else:
      spec = jax.P() if x.sharding is None else x.sharding.spec
      sharding = jax.NamedSharding(mesh, spec)
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

  return jax.tree.map(concrete, jax.eval_shape(function, *args))
