"""Write the figures of a run to the terminal, the log and trackers.

Event files for TensorBoard are written if tensorboardX is installed:

  pip install -e '.[tensorboard]' -c launch/constraints.txt
  tensorboard --logdir=runs
"""

import contextlib
import importlib.util
import math
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax

from stemgen_jax import progress
from stemgen_jax.model import sharding
from stemgen_jax.training.config import TrainConfig, flat
from stemgen_jax.training.metrics import Log, flatten, summarize
from stemgen_jax.training.planning.flops import step_flops
from stemgen_jax.training.planning.hardware import peak_flops
from stemgen_jax.training.trackers import Trackers


class Reporter:
  """Report a run without making it wait.

  The figures of a step are fetched only after later steps were dispatched, so
  that the devices never idle. Only the first process writes.

  Args:
    config: configuration of the run.
    out: folder of the run.
    start: step that the run starts or resumes from.
    command: command line, for the log.
    trackers: services that get the figures, too; see `trackers`.

  Use as a context manager, which closes the files.
  """

  def __init__(
    self,
    config: TrainConfig,
    out: pathlib.Path,
    start: int,
    command: str,
    trackers: Sequence[str] = (),
  ):
    self._config = config
    self._recent: list[dict[str, Any]] = []
    # Metrics that are due but not fetched: step, metrics, seconds of data wait.
    self._pending: tuple[int, list[dict[str, Any]], float] | None = None
    self._data_wait, self._is_first = 0.0, True
    self._clock = time.monotonic()
    self._writes = jax.process_index() == 0
    self._tensorboard: Any = None
    if self._writes:
      self._log = Log(out / "log.jsonl", start)
      devices = "{} x {}".format(*_devices())
      # The next start on a CPU takes as many, see `cpu_devices.choose`.
      copies = sharding.count_copies()
      about = {"command": command, "devices": devices, "copies": copies}
      self._log.write(start, "start", about)
      if tensorboard_available():
        # TensorBoard hides later steps of an earlier call.
        self._tensorboard = _tensorboardx().SummaryWriter(
          os.fspath(out / "tensorboard"), purge_step=start + 1
        )
    self._bar = progress.bar(
      seconds=0.5,
      log_seconds=60,
      initial=start,
      total=config.steps,
      bar_format="step {n_fmt}/{total_fmt}{postfix}, {remaining} left",
      disable=not self._writes,
    )
    self._trackers = Trackers(
      trackers if self._writes else (), out, flat(config), self.message
    )

  def __enter__(self) -> "Reporter":
    return self

  def __exit__(self, *_: object) -> None:
    self._bar.close()
    if self._tensorboard:
      self._tensorboard.close()
    self._trackers.close()

  def step(self, step: int, metrics: dict[str, Any], waited: float) -> None:
    """Record a step that was dispatched to the devices.

    Args:
      step: number of the step, from 1.
      metrics: as the train step returns them, possibly not computed yet.
      waited: seconds that the step waited for its batch.

    Raises:
      FloatingPointError: loss or gradient of an earlier step is not finite.
    """
    if self._is_first:
      # It was compiled: its time says nothing about later ones.
      self._is_first = False
      self._bar.n += 1
      progress.restart(self._bar, self._bar.n)
    else:
      self._bar.update()
    self._recent.append(metrics)
    self._data_wait += waited
    # An earlier step: fetching the one just dispatched would wait for it.
    self.flush()
    if step % self._config.log_every == 0 or step == self._config.steps:
      self._pending = step, self._recent, self._data_wait
      self._recent, self._data_wait = [], 0.0

  def flush(self) -> None:
    """Wait for the steps that are due and report them.

    Raises:
      FloatingPointError: loss or gradient of one is not finite.
    """
    if self._pending is None:
      return
    step, metrics, waited = self._pending
    self._pending = None
    figures = summarize(metrics)  # Blocks until they are computed.
    before, self._clock = self._clock, time.monotonic()
    _check_finite(step, figures)
    rate = self._config.batch * len(metrics) / (self._clock - before)
    figures["examples_per_second"] = round(rate, 3)
    figures["data_wait"] = round(waited / len(metrics), 6)
    text = f"loss {figures['loss']:.3f}, {rate:.3g} examples/s"
    count, kind = _devices()
    peak = peak_flops(kind)
    if peak:
      # Recomputed operations do not count as progress.
      done = rate / self._config.batch * step_flops(self._config).useful
      share = done / (peak * count)
      figures["share_of_peak"] = round(share, 4)
      text += f", {100 * share:.1f} % of peak"
    self._bar.set_postfix_str(text, refresh=False)
    self._write(step, "train", figures)

  def check(self, step: int) -> None:
    """Wait for all steps so far and check them.

    Raises:
      FloatingPointError: loss or gradient of one is not finite.
    """
    self.flush()
    if self._recent:
      _check_finite(step, summarize(self._recent))
    if self._tensorboard:
      # A run killed after this checkpoint does not repeat these steps.
      self._tensorboard.flush()

  def validation(self, step: int, figures: dict[str, Any]) -> None:
    """Report the figures of a validation."""
    self.message(f"step {step}: {_sentence(figures)}")
    self._write(step, "validation", figures)

  def audition(self, step: int, sounds: Iterable[Any]) -> None:
    """Add sounds, see `audition.Sound`, to TensorBoard."""
    if board := self._tensorboard:
      for name, sound, picture in sounds:
        samples = sound.samples.clip(-1, 1)  # [n, c]
        board.add_audio(name, samples, step, sound.sample_rate)
        board.add_image(name, picture, step, dataformats="HWC")

  def end(self, step: int, reason: str) -> None:
    """Record that the run has ended, and not just stopped."""
    self._write(step, "end", {"reason": reason})

  def message(self, text: str) -> None:
    """Print a line above the progress bar."""
    if self._writes:
      self._bar.write(text, file=sys.stderr)

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Exclude the time within from the examples per second.

    Raises:
      FloatingPointError: see `flush`, which runs first.
    """
    self.flush()
    jax.block_until_ready(self._recent)
    start = time.monotonic()
    yield
    # As if the interval had begun later.
    self._clock += time.monotonic() - start

  def _write(self, step: int, kind: str, figures: dict[str, Any]) -> None:
    if self._writes:
      self._log.write(step, kind, figures)
    scalars = {f"{kind}/{name}": x for name, x in flatten(figures).items()}
    if scalars:
      self._trackers.log(step, scalars)
    if self._tensorboard:
      for name, value in scalars.items():
        self._tensorboard.add_scalar(name, value, step)
      # Rare lines are shown at once; the others at the next checkpoint.
      if kind != "train":
        self._tensorboard.flush()


def _tensorboardx() -> Any:
  """Import tensorboardX, which is optional, without torch.

  It imports torch where that is installed, which takes seconds.
  """
  modules: dict[str, Any] = sys.modules
  hidden = "torch" not in modules
  if hidden:
    modules["torch"] = None  # as if it were not installed
  try:
    import tensorboardX
  finally:
    if hidden:
      del modules["torch"]
  return tensorboardX


def tensorboard_available() -> bool:
  """Return whether tensorboardX is installed."""
  return importlib.util.find_spec("tensorboardX") is not None


def _check_finite(step: int, figures: dict[str, Any]) -> None:
  # The gradient can overflow while the loss is still finite.
  for name in ("loss", "gradient_norm"):
    if not math.isfinite(figures[name]):
      raise FloatingPointError(
        f"the {name.replace('_', ' ')} is not finite before step {step}"
      )


def _devices() -> tuple[int, str]:
  """Return number and kind of the devices that train."""
  mesh = jax.sharding.get_mesh()
  return (1 if mesh.empty else mesh.size), jax.devices()[0].device_kind


def _sentence(figures: dict[str, Any]) -> str:
  losses = " ".join(f"{x:.3f}" for x in figures["loss_per_level"])
  accuracies = " ".join(f"{x:.3f}" for x in figures["accuracy_per_level"])
  scales = ""
  if "scale_loss" in figures:
    scales = (
      f"scales: loss {figures['scale_loss']:.3f}, accuracy "
      f"{figures['scale_accuracy']:.3f}; "
    )
  beats = ""
  if "beat_accuracy" in figures:
    beats = (
      f"; accuracy of beats {figures['beat_accuracy']:.3f}, of bars "
      f"{figures['bar_accuracy']:.3f}"
    )
  replay = ""
  if "replay_accuracy" in figures:
    losses_there = figures["replay_loss_per_level"]
    replay = (
      f"; replay: loss per level {' '.join(f'{x:.3f}' for x in losses_there)}, "
      f"accuracy {figures['replay_accuracy']:.3f}"
    )
  return (
    f"loss per level {losses}, accuracy {accuracies}; {scales}all masked: true "
    f"context {figures['all_masked_true']:.3f}, shuffled "
    f"{figures['all_masked_shuffled']:.3f}, "
    f"gain {figures['listening_gain']:.3f} nats{beats}{replay}"
  )
