"""The training loop: one run in one folder, stopped and resumed at will.

A run folder holds `config.json` (as resolved), `log.jsonl`, `checkpoints/`
and, where they are made, `tensorboard/` and `listen/`. The same run with the
same seed gives the same parameters to the bit, however often it was stopped on
the way; on GPUs with XLA_FLAGS=--xla_gpu_deterministic_ops=true, as they add up
in any order otherwise.
"""

import contextlib
import copy
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax

from stemgen_jax.data.manifest import Manifest
from stemgen_jax.model import Params, init_params, sharding
from stemgen_jax.model.attention import check_form
from stemgen_jax.training import processes, runs
from stemgen_jax.training.audition import Listener
from stemgen_jax.training.checkpoint import About, Checkpoints, abstract
from stemgen_jax.training.config import (
  DropConfig,
  TrainConfig,
  check_same_run,
)
from stemgen_jax.training.early_stopping import Best
from stemgen_jax.training.metrics import read_log, summarize
from stemgen_jax.training.prefetch import (
  Batches,
  NumpyBatch,
  OnDevice,
  OneBatch,
  place,
)
from stemgen_jax.training.reporter import Watch
from stemgen_jax.training.step import (
  State,
  init_state,
  make_train_step,
  make_validation_step,
)


def resolve(config: TrainConfig, data: Manifest) -> TrainConfig:
  """The configuration with what the data decide filled in, and checked.

  Raises:
    ValueError: as `TrainConfig.validate`, for a frozen parameter that does
      not exist, or for a window longer than the data's records.
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
  if config.overfit:  # what is dropped cannot be known by heart
    config.context_drop = config.condition_drop = 0.0
    config.drop = DropConfig()
  config.validate()
  _check_frozen(config)
  if config.model.window > data.frames:
    raise ValueError(
      f"model.window={config.model.window} frames is longer than the "
      f"{data.frames} frames of the data's records: give "
      f"--config.model.window={data.frames} or less, or prepare longer songs"
    )
  return config


def _check_frozen(config: TrainConfig) -> None:
  """Raises ValueError for a pattern that no parameter's path has."""
  params = jax.eval_shape(lambda: init_params(config.model, jax.random.key(0)))
  paths = [
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, _ in jax.tree_util.tree_leaves_with_path(params)
  ]
  for pattern in config.optimizer.frozen:
    if not any(re.search(pattern, path) for path in paths):
      raise ValueError(
        f"optimizer.frozen: no parameter's path has {pattern!r}; they are "
        f"{', '.join(paths)}"
      )


def train(
  config: TrainConfig,
  data: Manifest,
  batches: Batches,
  validation: Iterable[NumpyBatch],
  out: str | os.PathLike,
  *,
  summary: dict[str, Any] | None = None,
  listener: Listener | None = None,
  command: str = "",
  restore_step: int | None = None,
) -> int:
  """Trains until `config.steps`, or until SIGTERM or SIGINT asks to stop.

  Goes on from the last checkpoint if `out` has one. Stopping saves first. The
  run ends earlier when validation accuracy has not risen for
  `config.patience` steps, the paper's rule. In a run of several processes
  (`processes.start`) each calls this, with its own share of the batches.

  Args:
    config: As from `resolve`.
    data: The data set, for its codebooks.
    batches: This process's share of the training batches.
    validation: Batches, taken from it once and kept.
    out: Folder of the run.
    summary: Of the data set, kept with the checkpoints.
    listener: Of the first process, called every `config.listen_every` steps.
    command: That was given, for the log.
    restore_step: Go on from this checkpoint; later ones are set aside.

  Returns:
    The step reached.

  Raises:
    ValueError: `out` has a run of another configuration or other data, the
      weights to start from are another model's, a checkpoint is damaged, the
      loss or the gradient is no longer a finite number, or a device has too
      little memory.
    FileNotFoundError: there are no weights to start from, or no checkpoint of
      `restore_step`.
  """
  mesh = sharding.make_mesh(config.mesh_data, config.mesh_model)
  check_batch(config, 1 if mesh is None else mesh.shape["data"])
  check_form(config.model.attention)
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  if config.overfit:
    batches = OneBatch(batches)
  with (
    contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh),
    Checkpoints(out, keep=config.keep, clean=True) as checkpoints,
    processes.stop_signals() as stop,
    processes.end_if_others_are_lost(),
  ):
    if restore_step is not None:
      checkpoints.go_back(restore_step)
    state = _start(config, data, batches, checkpoints, summary or {})
    if processes.is_first():
      text = json.dumps(dataclasses.asdict(config), indent=2) + "\n"
      (out / "config.json").write_text(text)
    start = int(state["step"])
    best = Best.of_log(read_log(out / "log.jsonl"), start)
    run = _Run(
      config,
      [next(batches)] if config.overfit else list(validation),
      checkpoints,
      best,
      summary or {},
      listener,
    )
    with Watch(config, out, start, command) as watch:
      try:
        return _loop(run, state, start, batches, watch, stop)
      except FloatingPointError as error:
        good = checkpoints.latest
        kept = "there is no checkpoint yet"
        if good is not None:
          kept = f"the last good checkpoint is of step {good}"
        raise ValueError(
          f"{error}; {kept}: try a smaller optimizer.learning_rate"
        ) from error
      except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
          raise
        raise ValueError(
          "a device has too little memory for this run: try a larger "
          "config.accumulate, config.model.remat=full or more devices; "
          f"train --dry_run says what each takes ({error})"
        ) from error


@dataclasses.dataclass
class _Run:
  """What the loop needs beside the state."""

  config: TrainConfig
  validation: list[NumpyBatch]
  checkpoints: Checkpoints
  best: Best
  summary: dict[str, Any]
  listener: Listener | None


def check_batch(config: TrainConfig, shares: int) -> None:
  """Raises ValueError if batch or kernels cannot be split over the devices."""
  if config.batch % (shares * config.accumulate):
    raise ValueError(
      f"batch={config.batch}: must be a multiple of the {shares} devices "
      f"along the mesh's data axis (mesh_data) times accumulate="
      f"{config.accumulate}"
    )
  if config.model.width % shares:
    raise ValueError(
      f"model.width={config.model.width}: must be a multiple of the {shares} "
      "devices along the mesh's data axis (mesh_data)"
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
  if checkpoints.latest is None and not config.start:
    return jax.jit(init)(key, data.codebooks)
  like = abstract(init, key, data.codebooks)
  if checkpoints.latest is None:
    params = runs.load_start(config.start, config.model).params
    placed = jax.tree.map(
      lambda x, leaf: jax.device_put(x, leaf.sharding), params, like["params"]
    )
    return jax.jit(
      lambda key, books, params: (
        init(key, books) | {"params": params, "ema": params}
      )
    )(key, data.codebooks, placed)
  step, about = checkpoints.about()
  check_same_run(about.config, config)
  if about.data != summary:
    changed = [k for k in summary if about.data.get(k) != summary[k]]
    raise ValueError(
      f"this run was started on other data ({', '.join(changed)} differ): give "
      "another --out for a new run, or the --data it was started with"
    )
  batches.set_state(about.position)
  return checkpoints.load(step, like)


def _loop(
  run: _Run,
  state: State,
  step: int,
  batches: Batches,
  watch: Watch,
  stop: processes.Stop,
) -> int:
  config, best = run.config, run.best
  train_step = make_train_step(config)
  validation_step = make_validation_step(config)
  # Other draws than the parameters'.
  key, valid_key = jax.random.split(jax.random.key(config.seed + 1))
  norm = jax.jit(optax.global_norm)
  placed = OnDevice(batches)

  def due(every: int) -> bool:
    return every > 0 and (step % every == 0 or step == config.steps)

  def save(accuracy: float | None = None) -> None:
    watch.check(step)
    if not jnp.isfinite(norm(state["params"])):
      raise FloatingPointError(
        f"the parameters are no finite numbers after step {step}"
      )
    about = About(config, run.summary, placed.get_state())
    run.checkpoints.save(step, state, about, accuracy=accuracy)

  end = None
  while step < config.steps and not stop.at(step):
    if best.is_stale(step, config.patience):
      end = "patience"
      watch.say(
        f"step {step}: validation accuracy has not risen since step "
        f"{best.step}, for {config.patience} steps: the run ends"
      )
      break
    asked = time.monotonic()
    batch = next(placed)
    waited = time.monotonic() - asked
    state, metrics = train_step(state, batch, key)
    step += 1
    watch.stepped(step, metrics, waited)
    rises = False
    if run.validation and due(config.validate_every):
      with watch.paused():
        figures = _validate(
          validation_step, state["ema"], run.validation, valid_key
        )
      rises = best.rises(step, figures["accuracy"])
      watch.validated(step, figures)
    if due(config.listen_every):
      with watch.paused():
        params = on_host(state["ema"])
        if run.listener:
          watch.heard(step, run.listener.listen(step, params))
    if rises or step % config.save_every == 0:
      save(best.accuracy if rises else None)
  save()
  if step >= config.steps:
    end = "steps"
  if end:
    watch.ended(step, end)
  return step


def on_host(params: Params) -> Params:
  """Whole parameters, wherever their parts are; every process takes part."""
  mesh = jax.sharding.get_mesh()
  if not mesh.empty:
    params = jax.device_put(params, jax.NamedSharding(mesh, jax.P()))
  return jax.device_get(params)


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


def first(batches: Iterator[NumpyBatch], count: int) -> list[NumpyBatch]:
  """The first batches of an endless iterator."""
  return list(itertools.islice(batches, count))
