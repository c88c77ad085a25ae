"""The training loop: one run in one folder, stopped and resumed at will.

A run folder holds `config.json` (as resolved), `log.jsonl` and
`checkpoints/`. The same run with the same seed gives the same parameters to
the bit, however often it was stopped on the way.
"""

import contextlib
import copy
import dataclasses
import functools
import itertools
import json
import math
import os
import pathlib
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import tqdm

from stemgen_jax.data.manifest import Manifest
from stemgen_jax.model import sharding
from stemgen_jax.model.attention import check_form
from stemgen_jax.training.checkpoint import About, Checkpoints, abstract
from stemgen_jax.training.config import TrainConfig, check_same_run
from stemgen_jax.training.metrics import Log, summarize
from stemgen_jax.training.prefetch import Batches, NumpyBatch, OnDevice, place
from stemgen_jax.training.step import (
  State,
  init_state,
  make_train_step,
  make_validation_step,
)


def resolve(config: TrainConfig, data: Manifest) -> TrainConfig:
  """The configuration with what the data decide filled in, and checked.

  Raises:
    ValueError: as `TrainConfig.validate`, or for a window longer than the
      data's records.
  """
  config = copy.deepcopy(config)
  config.model = dataclasses.replace(
    config.model,
    codec=data.codec,
    codec_checksum=data.checksum,
    frame_rate=data.frame_rate,
    levels=data.levels,
    codes=data.codes,
    latent=data.codebooks.shape[-1],
  )
  config.validate()
  if config.model.window > data.frames:
    raise ValueError(
      f"model.window={config.model.window} frames is longer than the "
      f"{data.frames} frames of the data's records"
    )
  return config


def train(
  config: TrainConfig,
  data: Manifest,
  batches: Batches,
  validation: Iterable[NumpyBatch],
  out: str | os.PathLike,
  *,
  summary: dict[str, Any] | None = None,
) -> int:
  """Trains until `config.steps`, or until SIGTERM or SIGINT asks to stop.

  Goes on from the last checkpoint if `out` has one. Stopping saves first.

  Args:
    config: As from `resolve`.
    data: The data set, for its codebooks.
    batches: This process's share of the training batches.
    validation: Batches, taken from it once and kept.
    out: Folder of the run.
    summary: Of the data set, kept with the checkpoints.

  Returns:
    The step reached.

  Raises:
    ValueError: `out` has a run of another configuration or other data, or the
      loss is no longer a finite number.
  """
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  mesh = sharding.make_mesh(config.mesh_data, config.mesh_model)
  check_batch(config, 1 if mesh is None else mesh.shape["data"])
  check_form(config.model.attention)
  with (
    contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh),
    Checkpoints(out, keep=config.keep) as checkpoints,
    _stop_signals() as stop,
  ):
    state = _start(config, data, batches, checkpoints, summary or {})
    text = json.dumps(dataclasses.asdict(config), indent=2) + "\n"
    (out / "config.json").write_text(text)
    return _loop(
      config, state, batches, list(validation), checkpoints, out, summary, stop
    )


def check_batch(config: TrainConfig, shares: int) -> None:
  """Raises ValueError if the batch cannot be split over the devices."""
  if config.batch % (shares * config.accumulate):
    raise ValueError(
      f"batch={config.batch}: must be a multiple of the {shares} devices "
      f"along the mesh's data axis (mesh_data) times accumulate="
      f"{config.accumulate}"
    )


def _start(
  config: TrainConfig,
  data: Manifest,
  batches: Batches,
  checkpoints: Checkpoints,
  summary: dict[str, Any],
) -> State:
  """A fresh state, or the last saved one with the batches put in place."""
  init = functools.partial(init_state, config)
  key = jax.random.key(config.seed)
  if checkpoints.latest is None:
    return jax.jit(init)(key, data.codebooks)
  step, about = checkpoints.about()
  check_same_run(about.config, config)
  if about.data != summary:
    changed = [k for k in summary if about.data.get(k) != summary[k]]
    raise ValueError(
      f"this run was started on other data ({', '.join(changed)} differ): give "
      "another --out for a new run, or the --data it was started with"
    )
  batches.set_state(about.position)
  return checkpoints.load(step, abstract(init, key, data.codebooks))


def _loop(
  config: TrainConfig,
  state: State,
  batches: Batches,
  validation: list[NumpyBatch],
  checkpoints: Checkpoints,
  out: pathlib.Path,
  summary: dict[str, Any] | None,
  stop: dict[str, bool],
) -> int:
  train_step = make_train_step(config)
  validation_step = make_validation_step(config)
  # Other draws than the parameters'.
  key, valid_key = jax.random.split(jax.random.key(config.seed + 1))
  start = step = int(state["step"])
  log = Log(out / "log.jsonl", start)
  frames = config.batch * config.model.window
  placed = OnDevice(batches)
  recent: list[dict[str, Any]] = []
  waiting: tuple[int, list[dict[str, Any]]] | None = None
  clock = time.monotonic()

  bar = tqdm.tqdm(
    initial=start,
    total=config.steps,
    unit="step",
    mininterval=0.5 if sys.stderr.isatty() else 60,
    disable=jax.process_index() != 0,
  )

  def report() -> None:
    nonlocal waiting, clock
    if waiting is None:
      return
    at, metrics = waiting
    waiting = None
    figures = summarize(metrics)  # waits until they are there
    before, clock = clock, time.monotonic()
    if not math.isfinite(figures["loss"]):
      raise ValueError(
        f"the loss is no finite number before step {at}; the last good "
        f"checkpoint is of step {checkpoints.latest}: try a smaller "
        "optimizer.learning_rate"
      )
    figures["frames_per_second"] = round(
      frames * len(metrics) / (clock - before), 1
    )
    bar.set_postfix_str(
      f"loss {figures['loss']:.3f}, "
      f"{figures['frames_per_second']:.0f} frames/s",
      refresh=False,
    )
    if jax.process_index() == 0:
      log.write(at, "train", figures)

  def save() -> None:
    report()
    if recent and not math.isfinite(float(recent[-1]["loss"])):
      return
    position = placed.get_state()
    about = About(config, summary or {}, position)
    checkpoints.save(step, state, about)

  while step < config.steps and not stop["asked"]:
    state, metrics = train_step(state, next(placed), key)
    step += 1
    bar.update()
    recent.append(metrics)
    report()  # of an earlier step: the one just begun is not waited for
    if step % config.log_every == 0 or step == config.steps:
      waiting, recent = (step, recent), []
    if (
      validation
      and config.validate_every
      and (step % config.validate_every == 0 or step == config.steps)
    ):
      report()
      figures = _validate(validation_step, state["ema"], validation, valid_key)
      bar.write(f"step {step}: {_sentence(figures)}", file=sys.stderr)
      if jax.process_index() == 0:
        log.write(step, "validation", figures)
      clock = time.monotonic()
    if step % config.save_every == 0:
      save()
  save()
  bar.close()
  return step


def _validate(
  validation_step: Any,
  params: Any,
  batches: list[NumpyBatch],
  key: jax.Array,
) -> dict[str, Any]:
  sums = []
  for number, batch in enumerate(batches):
    sums.append(
      validation_step(params, place(batch), jax.random.fold_in(key, number))
    )
  return summarize(sums)


def _sentence(figures: dict[str, Any]) -> str:
  losses = " ".join(f"{x:.3f}" for x in figures["loss_per_level"])
  accuracies = " ".join(f"{x:.3f}" for x in figures["accuracy_per_level"])
  return (
    f"loss per level {losses}, accuracy {accuracies}; all masked: true "
    f"context {figures['all_masked_true']:.3f}, another "
    f"{figures['all_masked_shuffled']:.3f}, "
    f"gain {figures['listening_gain']:.3f} nats"
  )


@contextlib.contextmanager
def _stop_signals() -> Iterator[dict[str, bool]]:
  """Turns SIGTERM and the first Ctrl-C into a wish to stop."""
  stop = {"asked": False}

  def ask(number: int, _: object) -> None:
    if stop["asked"] and number == signal.SIGINT:
      raise KeyboardInterrupt
    stop["asked"] = True

  signals = (signal.SIGTERM, signal.SIGINT)
  before = [signal.signal(number, ask) for number in signals]
  try:
    yield stop
  finally:
    for number, handler in zip(signals, before):
      signal.signal(number, handler)


def first(batches: Iterator[NumpyBatch], count: int) -> list[NumpyBatch]:
  """The first batches of an endless iterator."""
  return list(itertools.islice(batches, count))
