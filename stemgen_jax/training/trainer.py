"""The training loop: one run in one folder, which can be stopped and resumed.

A run folder holds `config.json` (as resolved), `log.jsonl`, `checkpoints/`
and optionally `tensorboard/` and `listen/`. The same seed gives bit-identical
parameters, however often the run was stopped. GPUs add in varying order unless
XLA_FLAGS=--xla_gpu_deterministic_ops=true.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax

from stemgen_jax import disk, progress, signals
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.model import Params, sharding
from stemgen_jax.model.attention import check_form
from stemgen_jax.training import processes, runs, watchdog
from stemgen_jax.training.checkpoint import About, Checkpoints, abstract
from stemgen_jax.training.config import TrainConfig, check_same_run
from stemgen_jax.training.early_stopping import Best
from stemgen_jax.training.metrics import read_log, summarize
from stemgen_jax.training.optimizer import check_frozen
from stemgen_jax.training.prefetch import (
  Batches,
  NumpyBatch,
  OnDevice,
  OneBatch,
  place,
)
from stemgen_jax.training.reporter import Reporter
from stemgen_jax.training.resolve import check_batch
from stemgen_jax.training.step import (
  State,
  init_state,
  make_train_step,
  make_validation_step,
)

if TYPE_CHECKING:
  from stemgen_jax.training.audition import Auditioner  # imports matplotlib


def train(
  config: TrainConfig,
  data: Manifest,
  batches: Batches,
  validation: Iterable[NumpyBatch],
  out: str | os.PathLike,
  *,
  replayed: Iterable[NumpyBatch] = (),
  summary: dict[str, Any] | None = None,
  auditioner: "Auditioner | None" = None,
  command: str = "",
  restore_step: int | None = None,
  copies: int = 1,
  stall_timeout: float = watchdog.SECONDS,
  trackers: Sequence[str] = (),
) -> int:
  """Train until `config.steps`, or until SIGTERM or SIGINT.

  Resumes from the last checkpoint in `out`, if any, and saves one before it
  returns. The run ends early when validation accuracy has not risen for
  `config.patience` steps, as in the paper. In a run of several processes
  (`processes.start`) each of them calls this with its share of the batches.

  Args:
    config: configuration, from `resolve`.
    data: data set, for its codebooks.
    batches: training batches of this process.
    validation: validation batches of this process; read once and kept.
    out: folder of the run.
    replayed: validation batches of the data of `config.replay`, likewise.
    summary: description of the data set, stored in the checkpoints.
    auditioner: called by the first process every `config.listen_every` steps.
    command: command line, for the log.
    restore_step: checkpoint to resume from; later ones are set aside.
    copies: CPU devices that each hold the whole state and take a share of
      every batch; 1 for the mesh of the configuration.
    stall_timeout: seconds without a step after which the process exits, see
      `watchdog.Watchdog`; 0 for never.
    trackers: services that get the figures, see `trackers.Trackers`.

  Returns:
    The step reached.

  Raises:
    ValueError: `out` has a run of another configuration or other data, the
      initial weights are another model's, a checkpoint is corrupt, loss or
      gradient is not finite, or a device has too little memory.
    FileNotFoundError: initial weights or checkpoint `restore_step` not found.
  """
  if copies > 1:
    mesh = sharding.make_copies(copies)
  else:
    mesh = sharding.make_mesh(config.mesh_data, config.mesh_model)
    check_batch(config, 1 if mesh is None else mesh.shape["data"])
  check_form(config.model.attention)
  frozen = check_frozen(config)
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  if config.overfit:
    batches = OneBatch(batches)
  with (
    contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh),
    _no_empty_folder(out),
    _saved_steps_in_errors(out),
    processes.stop_signals() as stop,
    watchdog.Watchdog(out, stop, stall_timeout) as watch,
    Checkpoints(out, keep=config.keep, clean=True) as checkpoints,
    processes.end_if_others_are_lost(),
  ):
    # Before the state is chosen: the last checkpoint decides where to resume.
    if restore_step is not None:
      _check_resumes(config, checkpoints.about(restore_step), summary or {})
      checkpoints.go_back(restore_step)
    state = _initial_state(config, data, batches, checkpoints, summary or {})
    if processes.is_first():
      disk.write_json(out / "config.json", dataclasses.asdict(config))
      for line in frozen:
        print(line, flush=True)
    start = int(state["step"])
    if start and processes.is_first():
      print(f"resuming from step {start}", flush=True)
    best = Best.of_log(read_log(out / "log.jsonl"), start)
    run = _Run(
      config,
      # With overfit, validation is on the batch that is trained on.
      [next(batches)] if config.overfit else list(validation),
      list(replayed),
      checkpoints,
      best,
      summary or {},
      auditioner,
      watch,
    )
    with Reporter(config, out, start, command, trackers) as reporter:
      try:
        step = _loop(run, state, start, batches, reporter, stop)
        watch.doing(watchdog.COMPLETES, step)
        return step
      except FloatingPointError as error:
        good = checkpoints.latest
        kept = "no checkpoint has been saved yet"
        if good is not None:
          kept = f"the last good checkpoint is of step {good}"
        raise ValueError(
          f"{error}; {kept}; try a smaller optimizer.learning_rate"
        ) from error
      except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
          raise
        raise ValueError(
          "a device has too little memory for this run; try a larger "
          "config.accumulate, config.model.remat=full or more devices; "
          f"train --dry_run prints the memory needed ({error})"
        ) from error


@dataclasses.dataclass
class _Run:
  """Constant parts of a run, and the best validation so far."""

  config: TrainConfig
  validation: list[NumpyBatch]
  replayed: list[NumpyBatch]
  checkpoints: Checkpoints
  best: Best
  summary: dict[str, Any]
  auditioner: "Auditioner | None"
  watch: watchdog.Watchdog


@contextlib.contextmanager
def _no_empty_folder(out: pathlib.Path) -> Iterator[None]:
  """Remove the folder of a run that fails before it has written anything."""
  try:
    yield
  except Exception:
    with contextlib.suppress(OSError):  # not empty
      (out / "checkpoints").rmdir()
      out.rmdir()
    raise


@contextlib.contextmanager
def _saved_steps_in_errors(out: pathlib.Path) -> Iterator[None]:
  """Name the last checkpoint in the error of a full disk."""
  try:
    yield
  except Exception as error:
    if not (full := disk.why_full(error)):
      raise
    # Orbax writes elsewhere, and renames: a number is a complete checkpoint.
    steps = [
      int(path.name)
      for path in (out / "checkpoints").glob("*")
      if path.name.isdecimal()
    ]
    kept = "no checkpoint has been saved yet"
    if steps:
      kept = f"the last checkpoint is of step {max(steps)}"
    reason = str(error).strip().partition("\n")[0]
    raise OSError(
      f"{full[0]}: {out} cannot be written; {kept}; {full[1]}, then the same "
      f"command resumes ({reason})"
    ) from error


def _initial_state(
  config: TrainConfig,
  data: Manifest,
  batches: Batches,
  checkpoints: Checkpoints,
  summary: dict[str, Any],
) -> State:
  """Return a new state, or the last saved one with `batches` repositioned."""
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
  _check_resumes(config, (step, about), summary)
  # The next batch is the one that an uninterrupted run would read.
  batches.set_state(about.position)
  return checkpoints.load(step, like)


def _check_resumes(
  config: TrainConfig, saved: tuple[int, About], summary: dict[str, Any]
) -> None:
  """Raise ValueError unless a checkpoint is of this run and its data."""
  step, about = saved
  check_same_run(about.config, config, step)
  if "roles" not in about.data:  # of an earlier version
    summary = {k: x for k, x in summary.items() if k != "roles"}
  if about.data != summary:
    names = sorted(about.data.keys() | summary.keys())
    changed = [x for x in names if about.data.get(x) != summary.get(x)]
    raise ValueError(
      f"this run was started on other data ({', '.join(changed)} differ); give "
      "another --out for a new run, or the --data it was started with"
    )


def _loop(
  run: _Run,
  state: State,
  step: int,
  batches: Batches,
  reporter: Reporter,
  stop: signals.Stop,
) -> int:
  config, best, watch = run.config, run.best, run.watch
  train_step = make_train_step(config)
  validation_step = make_validation_step(config)
  # Not `config.seed`, the key of the parameters: draws must be independent.
  key, valid_key = jax.random.split(jax.random.key(config.seed + 1))
  norm = jax.jit(optax.global_norm)
  placed = OnDevice(batches)

  def due(every: int) -> bool:
    return every > 0 and (step % every == 0 or step == config.steps)

  def save(accuracy: float | None = None) -> None:
    watch.doing("waits for its last step", step)
    reporter.check(step)
    # The loss is of the parameters before the update; check the new ones too.
    if not jnp.isfinite(norm(state["params"])):
      raise FloatingPointError(
        f"the parameters are not finite after step {step}"
      )
    watch.doing(watchdog.SAVES, step)
    about = About(config, run.summary, placed.get_state())
    run.checkpoints.save(step, state, about, accuracy=accuracy)

  compiling = contextlib.nullcontext()
  if processes.is_first():
    compiling = progress.elapsed("compiling the training step", file=sys.stderr)
  end = None
  while step < config.steps and not processes.should_stop(stop, step):
    # Before the step: a run that ended is not trained further when restarted.
    if best.is_stale(step, config.patience):
      end = "patience"
      reporter.message(
        f"step {step}: validation accuracy has not risen since step "
        f"{best.step}, for {config.patience} steps; the run ends"
      )
      break
    before = time.monotonic()
    watch.doing(watchdog.LOADS, step)
    batch = next(placed)
    waited = time.monotonic() - before
    watch.doing("computes a step", step)
    with compiling:
      state, metrics = train_step(state, batch, key)
    compiling = contextlib.nullcontext()
    step += 1
    reporter.step(step, metrics, waited)  # Does not wait for this step.
    improved = False
    if run.validation and due(config.validate_every):
      watch.doing(watchdog.VALIDATES, step)
      with reporter.paused():
        # The averaged parameters, which are the ones exported.
        figures = _validate(
          validation_step, state["ema"], run.validation, valid_key
        )
        if run.replayed:
          forgotten = _validate(
            validation_step, state["ema"], run.replayed, valid_key
          )
          for name in ("loss_per_level", "accuracy"):
            figures[f"replay_{name}"] = forgotten[name]
      improved = best.update(step, figures["accuracy"])
      reporter.validation(step, figures)
    if due(config.listen_every):
      watch.doing(watchdog.AUDITIONS, step)
      with reporter.paused():
        # Every process gathers the parameters; only the first has sounds.
        params = on_host(state["ema"])
        if run.auditioner:
          # On one device, whose codes do not depend on the number of copies.
          with sharding.without_copies():
            reporter.audition(step, run.auditioner.run(step, params))
    # A new best is always saved, as export needs it.
    if improved or step % config.save_every == 0:
      save(best.accuracy if improved else None)
    watch.doing("completes a step", step)
  save()  # The last step, unless it has just been saved.
  if step >= config.steps:
    end = "steps"
  if end:
    reporter.end(step, end)
  return step


def on_host(params: Params) -> Params:
  """Return unsharded parameters; every process has to take part."""
  mesh = jax.sharding.get_mesh()
  if not mesh.empty:
    params = jax.device_put(params, jax.NamedSharding(mesh, jax.P()))
  return jax.device_get(params)


def _validate(
  validation_step: Any,
  params: Params,
  batches: list[NumpyBatch],
  key: jax.Array,
) -> dict[str, Any]:
  # All batches are dispatched before `summarize` fetches the first sums.
  return summarize(
    [
      validation_step(params, place(batch), jax.random.fold_in(key, number))
      for number, batch in enumerate(batches)
    ]
  )
