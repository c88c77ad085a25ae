"""Checkpoints of a run: the one module that knows Orbax.

A checkpoint is one folder, written in the background and moved into place
whole, so that a run killed at any moment finds its last complete one.
"""

import dataclasses
import os
import pathlib
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from stemgen_jax.training.config import TrainConfig, from_dict

_FOLDER = "checkpoints"


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

  Use as a context manager: leaving it waits for writes under way.
  """

  def __init__(self, run: str | os.PathLike, *, keep: int = 3):
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
      cleanup_tmp_directories=True,
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
    self._orbax.save_async(
      step,
      state,
      metrics=None if accuracy is None else {"accuracy": accuracy},
      custom_metadata={
        "config": dataclasses.asdict(about.config),
        "data": about.data,
        "position": about.position,
      },
    )

  def about(self, step: int | None = None) -> tuple[int, About]:
    """Step and description of a checkpoint, by default of the last.

    Raises:
      FileNotFoundError: if there is none, or not of this step.
      ValueError: if it was written by another version.
    """
    step = self._resolve(step)
    saved: Any = self._orbax.metadata(step).custom_metadata
    if not isinstance(saved, dict) or "config" not in saved:
      raise ValueError(f"{self.folder / str(step)}: not a run of stemgen-jax")
    return step, About(
      from_dict(saved["config"]), saved["data"], saved["position"]
    )

  def load(self, step: int, like: Any) -> Any:
    """The state of a step.

    Args:
      step: One that was saved.
      like: Tree of `jax.ShapeDtypeStruct` with the shardings wanted, which
        need not be those it was saved with.

    Raises:
      FileNotFoundError: if there is no such step.
      ValueError: if it cannot be read, with the steps that remain.
    """
    step = self._resolve(step)
    try:
      return self._orbax.load(step, like)
    except Exception as error:  # Orbax raises whatever lies below it raises
      others = [c.step for c in self._orbax.checkpoints if c.step != step]
      raise ValueError(
        f"{self.folder / str(step)}: cannot be read ({error}); remove that "
        f"folder to go on from {f'step {max(others)}' if others else 'start'}"
      ) from error

  def _resolve(self, step: int | None) -> int:
    steps = [checkpoint.step for checkpoint in self._orbax.checkpoints]
    if not steps:
      raise FileNotFoundError(f"no checkpoint in {self.folder}")
    if step is not None and step not in steps:
      raise FileNotFoundError(
        f"no checkpoint of step {step} in {self.folder}; there are "
        f"{', '.join(map(str, sorted(steps)))}"
      )
    return max(steps) if step is None else step


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
