"""Where the figures of a run go: the terminal, the log, TensorBoard."""

import contextlib
import math
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import jax
import tqdm

from stemgen_jax.training import tensorboard
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.metrics import Log, summarize
from stemgen_jax.training.planning.flops import step_flops
from stemgen_jax.training.planning.hardware import peak_flops


class Watch:
  """Watches a run without making it wait.

  The figures of a step are fetched after later steps have been handed to the
  devices, so that these never idle. Only the first process writes.

  Args:
    config: The run's.
    out: Its folder.
    start: Step it goes on from.
    command: The command that was given, for the log.

  Use as a context manager: leaving it closes what is open.
  """

  def __init__(
    self, config: TrainConfig, out: pathlib.Path, start: int, command: str
  ):
    self._config = config
    self._recent: list[dict[str, Any]] = []
    self._waiting: tuple[int, list[dict[str, Any]], float] | None = None
    self._data_wait = 0.0
    self._clock = time.monotonic()
    self._writes = jax.process_index() == 0
    self._tensorboard = None
    if self._writes:
      self._log = Log(out / "log.jsonl", start)
      devices = "{} x {}".format(*_devices())
      self._log.write(start, "start", {"command": command, "devices": devices})
      if tensorboard.available():
        folder = out / "tensorboard"
        self._tensorboard = tensorboard.TensorBoard(folder, start)
    self._bar = tqdm.tqdm(
      initial=start,
      total=config.steps,
      bar_format="step {n_fmt}/{total_fmt}{postfix}, {remaining} left",
      mininterval=0.5 if sys.stderr.isatty() else 60,
      disable=not self._writes,
    )

  def __enter__(self) -> "Watch":
    return self

  def __exit__(self, *_: object) -> None:
    self._bar.close()
    if self._tensorboard:
      self._tensorboard.close()

  def stepped(self, step: int, metrics: dict[str, Any], waited: float) -> None:
    """Takes in a step that was handed to the devices.

    Args:
      step: Its number, from 1.
      metrics: As the train step returns them, perhaps not there yet.
      waited: Seconds that the step waited for its batch.

    Raises:
      FloatingPointError: an earlier step's loss or gradient is not finite.
    """
    self._bar.update()
    self._recent.append(metrics)
    self._data_wait += waited
    self.settle()  # of an earlier step: the one just begun is not waited for
    if step % self._config.log_every == 0 or step == self._config.steps:
      self._waiting = step, self._recent, self._data_wait
      self._recent, self._data_wait = [], 0.0

  def settle(self) -> None:
    """Reports the steps that are due, and waits until they are done.

    Raises:
      FloatingPointError: their loss or gradient is not finite.
    """
    if self._waiting is None:
      return
    step, metrics, waited = self._waiting
    self._waiting = None
    figures = summarize(metrics)  # waits until they are there
    before, self._clock = self._clock, time.monotonic()
    _check_finite(step, figures)
    rate = self._config.batch * len(metrics) / (self._clock - before)
    figures["examples_per_second"] = round(rate, 3)
    figures["data_wait"] = round(waited / len(metrics), 6)
    said = f"loss {figures['loss']:.3f}, {rate:.3g} examples/s"
    count, kind = _devices()
    peak = peak_flops(kind)
    if peak:
      done = rate / self._config.batch * step_flops(self._config).useful
      share = done / (peak * count)
      figures["share_of_peak"] = round(share, 4)
      said += f", {100 * share:.1f} % of peak"
    self._bar.set_postfix_str(said, refresh=False)
    self._write(step, "train", figures)

  def check(self, step: int) -> None:
    """Waits for all steps so far.

    Raises:
      FloatingPointError: the loss or gradient of one is not finite.
    """
    self.settle()
    if self._recent:
      _check_finite(step, summarize(self._recent))
    if self._tensorboard:
      self._tensorboard.flush()  # a run that is killed does not write it again

  def validated(self, step: int, figures: dict[str, Any]) -> None:
    """Takes in the figures of a validation."""
    self.say(f"step {step}: {_sentence(figures)}")
    self._write(step, "validation", figures)

  def heard(self, step: int, sounds: Any) -> None:
    """Takes in sounds, see `listen.Listener.listen`."""
    if self._tensorboard:
      for sound in sounds:
        self._tensorboard.sound(
          step, sound.name, sound.samples, sound.sample_rate, sound.picture
        )

  def ended(self, step: int, reason: str) -> None:
    """Takes in that the run is done."""
    self._write(step, "end", {"reason": reason})

  def say(self, text: str) -> None:
    """Prints a line above the progress."""
    if self._writes:
      self._bar.write(text, file=sys.stderr)

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """The time within does not count: something other than training is done.

    Raises:
      FloatingPointError: as `settle`, whose reports come first.
    """
    self.settle()
    jax.block_until_ready(self._recent)
    began = time.monotonic()
    yield
    self._clock += time.monotonic() - began

  def _write(self, step: int, kind: str, figures: dict[str, Any]) -> None:
    if self._writes:
      self._log.write(step, kind, figures)
    if self._tensorboard:
      self._tensorboard.figures(step, kind, figures)
      if kind != "train":
        self._tensorboard.flush()


def _check_finite(step: int, figures: dict[str, Any]) -> None:
  for name in ("loss", "gradient_norm"):
    if not math.isfinite(figures[name]):
      words = name.replace("_", " ")
      raise FloatingPointError(
        f"the {words} is no finite number before step {step}"
      )


def _devices() -> tuple[int, str]:
  """How many devices of which kind train."""
  mesh = jax.sharding.get_mesh()
  return (1 if mesh.empty else mesh.size), jax.devices()[0].device_kind


def _sentence(figures: dict[str, Any]) -> str:
  losses = " ".join(f"{x:.3f}" for x in figures["loss_per_level"])
  accuracies = " ".join(f"{x:.3f}" for x in figures["accuracy_per_level"])
  return (
    f"loss per level {losses}, accuracy {accuracies}; all masked: true "
    f"context {figures['all_masked_true']:.3f}, another "
    f"{figures['all_masked_shuffled']:.3f}, "
    f"gain {figures['listening_gain']:.3f} nats"
  )
