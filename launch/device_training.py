"""Parts of the device check: attention, losses, and the training step."""

import copy
import dataclasses
import os
import pathlib
import runpy
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from device_parts import failure, figure

from stemgen_jax.model import CONDITION_SIZES
from stemgen_jax.model import attention as attention_lib
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.planning import hardware
from stemgen_jax.training.planning.flops import step_flops

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_STEPS = 20  # of the comparison of losses
_TIMED = 8  # steps
_LOSS_BATCH = 8


def plan(tiny: bool) -> Iterator[dict[str, Any]]:
  """Plan the step of `train_step` as `train --dry_run` does."""
  from stemgen_jax.training.planning import dry_run

  config = _config(tiny)
  dry_run.simulate(config)
  planned = dry_run.plan(config)
  memory = planned.memory
  for name in ("state", "gradients", "kept", "work"):
    yield figure(f"memory, {name}", getattr(memory, name) / 1e9, "GB")
  yield figure("memory", memory.total / 1e9, "GB", dtype="bfloat16")
  yield figure("operations per step", sum(planned.flops) / 1e12, "TFLOP")
  kind = os.environ.get("DEVICE_CHECK_KIND", "")
  known = [x for x in hardware.HARDWARE.values() if x.kind in kind]
  if known:
    seconds, _ = planned.seconds(known[0])
    yield figure("seconds per step", seconds, "s", assumed="40 % of the peak")


def attention(tiny: bool) -> Iterator[dict[str, Any]]:
  """Compare a fused kernel with "dot_product": values, gradients, time."""
  # Toy size runs on CPUs, which have no cuDNN.
  fused = "cudnn" if jax.default_backend() == "gpu" else "map"
  b, t, n, h = (2, 16, 2, 8) if tiny else (4, 1000, 16, 64)
  q, k, v, out = jax.random.normal(jax.random.key(0), (4, b, t, n, h))
  # Padding at the end, of another length for each example.
  lengths = jnp.linspace(t, t // 2, b).astype(jnp.int32)
  padded = jnp.arange(t)[None] < lengths[:, None]  # [b, t]
  for case, valid in (("all frames", None), ("with valid", padded)):
    used = jnp.ones((b, t), bool) if valid is None else valid

    def run(form, dtype, valid=valid, used=used):
      inputs = [x.astype(dtype) for x in (q, k, v)]
      inputs += [out]

      # Large arrays are arguments: constants would be folded at compilation.
      def weighted(q, k, v, out):
        values = attention_lib.attend(q, k, v, valid=valid, form=form)
        values = jnp.where(used[..., None, None], values, 0.0)
        return jnp.sum(values.astype(jnp.float32) * out), values

      gradient = jax.value_and_grad(weighted, argnums=(0, 1, 2), has_aux=True)
      compiled = jax.jit(lambda *x: gradient(*x))
      (_, values), gradients = jax.block_until_ready(compiled(*inputs))
      seconds = _seconds(lambda: compiled(*inputs), 2 if tiny else 10)
      named = dict(zip("qkv", gradients)) | {"values": values}
      return {x: np.asarray(y, np.float32) for x, y in named.items()}, seconds

    with jax.default_matmul_precision("highest"):
      exact, _ = run("dot_product", jnp.float32)
    for form in ("dot_product", fused):
      about = {"form": form, "dtype": "bfloat16"}
      try:
        found, seconds = run(form, jnp.bfloat16)
      except Exception as error:
        yield failure(f"attention, {case}", error, **about)
        continue
      for name, value in found.items():
        what = "values" if name == "values" else f"gradient of {name}"
        worst = np.abs(value - exact[name]).max() / np.abs(exact[name]).max()
        yield figure(
          f"{case}: error of {what}", float(worst), "of the maximum", **about
        )
      milliseconds = 1e3 * seconds
      yield figure(f"{case}: both passes", milliseconds, "ms", **about)


def loss(tiny: bool) -> Iterator[dict[str, Any]]:
  """Train some steps on one batch in float32 and bfloat16, from one start."""
  losses = {}
  for dtype in ("float32", "bfloat16"):
    config = _config(tiny)
    config.batch = config.batch if tiny else _LOSS_BATCH
    config.model.dtype = dtype
    config.optimizer.warmup_steps = _STEPS // 2  # so that the loss moves
    # "highest": float32 products on a GPU would be of TF32.
    precision = "highest" if dtype == "float32" else None
    with jax.default_matmul_precision(precision):
      step, state, batch, key = _prepared(config)
      losses[dtype] = []
      for _ in range(_STEPS):
        state, metrics = step(state, batch, key)
        losses[dtype].append(float(metrics["loss"]))
    del state  # before the next one is made
    about = {"dtype": dtype, "batch": config.batch}
    yield figure("loss at each step", losses[dtype], "nats", **about)
  one, other = (np.array(x) for x in losses.values())
  apart = np.abs(other / one - 1)
  yield figure("largest difference of the losses", float(apart.max()), "of it")
  yield figure("difference at the last step", float(apart[-1]), "of it")


def train_step(tiny: bool) -> Iterator[dict[str, Any]]:
  """Time the step of configs/slakh.py."""
  yield from _timed(_config(tiny))


def train_step_fused(tiny: bool) -> Iterator[dict[str, Any]]:
  """Time the same step with cuDNN's attention."""
  config = _config(tiny)
  fused = jax.default_backend() == "gpu"
  config.model.attention = "cudnn" if fused else "map"
  yield from _timed(config)


def _timed(config: TrainConfig) -> Iterator[dict[str, Any]]:
  from stemgen_jax.model.transformer import product_dtype

  device = jax.devices()[0]
  about = {
    "dtype": str(product_dtype(config.model)),
    "attention": config.model.attention,
    "batch": config.batch,
  }
  began = time.monotonic()
  step, state, batch, key = _prepared(config)
  jax.block_until_ready(state)
  yield figure("initial state", time.monotonic() - began, "s")
  began = time.monotonic()
  compiled: Any = step
  compiled = compiled.lower(state, batch, key).compile()
  yield figure("compilation", time.monotonic() - began, "s", **about)
  analysis = compiled.memory_analysis()
  if analysis is not None:
    total = analysis.argument_size_in_bytes + analysis.temp_size_in_bytes
    yield figure("memory, by XLA's analysis", total / 1e9, "GB", **about)
  times, metrics = [], {}
  for number in range(2 + (2 if config.batch < 10 else _TIMED)):
    began = time.monotonic()
    state, metrics = compiled(state, batch, key)
    jax.block_until_ready(metrics)
    if number >= 2:
      times.append(time.monotonic() - began)
  seconds = statistics.median(times)
  yield figure("seconds per step", seconds, "s", least=min(times), **about)
  frames = config.batch * config.model.window / seconds
  yield figure("frames per second", frames, "1/s", **about)
  useful = step_flops(config).useful
  yield figure("rate", useful / seconds / 1e12, "TFLOP/s", **about)
  peak = hardware.peak_flops(device.device_kind)
  if peak:
    yield figure("MFU", useful / seconds / peak, "of the peak", **about)
  else:
    reason = f"no peak is known of {device.device_kind}"
    yield figure("MFU", None, "", reason=reason)
  # The largest amount in use, over the life of this process.
  most = (device.memory_stats() or {}).get("peak_bytes_in_use")
  yield figure("memory", most and most / 1e9, "GB", **about)
  yield figure("loss", float(metrics["loss"]), "nats", **about)


def _config(tiny: bool) -> TrainConfig:
  """Return configs/slakh.py on one device, or a toy of it."""
  path = _ROOT / "configs" / "slakh.py"
  config = copy.deepcopy(runpy.run_path(str(path))["get_config"]())
  config.mesh_data = 1
  if tiny:
    config.batch = 2
    config.model = dataclasses.replace(
      config.model, codes=32, width=32, depth=2, heads=2, mlp=32, window=16
    )
  return config


def _prepared(config: TrainConfig) -> tuple[Callable, Any, Any, jax.Array]:
  """Return step, initial state, a random batch and the key of the run."""
  from stemgen_jax.training.step import init_state, make_train_step

  config.validate()
  model = config.model
  rng = np.random.default_rng(0)
  shape = (config.batch, model.window, model.levels)
  # Few codes are frequent, so that there is something to learn.
  batch = {
    name: jnp.asarray((model.codes * rng.random(shape) ** 4).astype(np.int32))
    for name in ("context", "target")
  }
  batch |= {
    name: jnp.asarray(rng.integers(CONDITION_SIZES[name], size=config.batch))
    for name in model.conditions
  }
  key = jax.random.key(config.seed)
  state = jax.jit(lambda key: init_state(config, key, None))(key)
  return make_train_step(config), state, batch, jax.random.key(1)


def _seconds(work: Callable[[], Any], rounds: int) -> float:
  """Return the median duration of calls."""
  times = []
  for _ in range(rounds):
    began = time.monotonic()
    jax.block_until_ready(work())
    times.append(time.monotonic() - began)
  return statistics.median(times)
