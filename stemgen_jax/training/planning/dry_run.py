"""Memory, communication and time of a run, without its hardware or data.

The step is compiled for as many simulated CPU devices as the mesh has. XLA
decides shardings and collectives before its backends differ, so these are
exact. Activation memory is computed here, as the CPU computes in float32 and
fuses little.
"""

import contextlib
import copy
import dataclasses
import math
import pathlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params

from stemgen_jax import text_tables
from stemgen_jax.model import SPECTRUM_BANDS, sharding
from stemgen_jax.training.checkpoint import state_like
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.planning.collectives import (
  Collective,
  read_collectives,
)
from stemgen_jax.training.planning.flops import StepFlops, step_flops
from stemgen_jax.training.planning.hardware import Hardware
from stemgen_jax.training.resolve import check_batch
from stemgen_jax.training.step import make_train_step

# Assumed shares of a device: of its peak, reached by matrix products of this
# size; of its memory, left by allocator and compiler.
_UTILISATION, _USABLE = 0.4, 0.92

_LATENT = 128  # EnCodec's, without a data set.


@dataclasses.dataclass(frozen=True)
class Memory:
  """Bytes on each device.

  Attributes:
    state: parameters, AdamW's two moments, the average and the batch: the
      arguments of the compiled step.
    gradients: float32, sharded as the parameters; twice if a step has several
      passes.
    kept: activations saved for the backward pass, from the traced step.
    work: temporary memory of one layer or the head; an estimate.
    compiled: XLA's figure for everything but the state, on CPU devices.
  """

  state: int
  gradients: int
  kept: int
  work: int
  compiled: int

  @property
  def total(self) -> int:
    """Return the memory that a device needs."""
    return self.state + self.gradients + self.kept + self.work


@dataclasses.dataclass(frozen=True)
class Plan:
  """The cost of a step, before it runs."""

  config: TrainConfig
  parameters: int
  block_parameters: int
  flops: StepFlops
  memory: Memory
  collectives: list[Collective]

  @property
  def devices(self) -> int:
    """Return the number of devices in the mesh."""
    return self.config.mesh_data * self.config.mesh_model

  def fits(self, hardware: Hardware) -> bool:
    """Return whether each device has enough memory."""
    return self.memory.total <= _USABLE * hardware.memory

  def seconds(self, hardware: Hardware) -> tuple[float, float]:
    """Return seconds per step with communication overlapped, and without."""
    work = sum(self.flops) / (self.devices * hardware.flops * _UTILISATION)
    sent = sum(x.sent_bytes for x in self.collectives)
    communication = sent / hardware.bandwidth(self.devices)
    return max(work, communication), work + communication


def simulate(config: TrainConfig, data: int = 1) -> None:
  """Simulate the mesh by CPU devices, unless JAX is already in use.

  Args:
    config: configuration of the run.
    data: least number of devices along the batch.
  """
  jax.config.update("jax_platforms", "cpu")
  devices = max(config.mesh_data, data) * config.mesh_model
  settings: Any = jax.config
  if devices > settings.jax_num_cpu_devices:
    with contextlib.suppress(RuntimeError):  # `plan` reports too few devices.
      jax.config.update("jax_num_cpu_devices", devices)


def plan(config: TrainConfig) -> Plan:
  """Compile a step for the mesh of a run and measure it.

  Args:
    config: configuration of the run; `mesh_data=0` counts as 1.

  Raises:
    ValueError: the configuration is invalid, or JAX was in use before
      `simulate` and has too few devices.
  """
  fused = config.model.attention in ("cudnn", "splash")
  config = _for_accelerators(config)
  config.validate()
  check_batch(config, config.mesh_data)
  mesh = sharding.make_mesh(config.mesh_data, config.mesh_model)
  if mesh is None:
    # A mesh of one, as without a mesh the model takes a path for CPUs.
    mesh = jax.make_mesh((1, 1), ("data", "model"), devices=jax.devices()[:1])
  with jax.set_mesh(mesh), tempfile.TemporaryDirectory() as folder:
    state, batch = state_like(config), batch_like(config, mesh)
    step: Any = make_train_step(config)
    traced = step.trace(state, batch, jax.random.key(0))
    compiled = traced.lower().compile(
      compiler_options={
        "xla_dump_to": folder,
        "xla_dump_hlo_as_text": True,
        "xla_dump_hlo_pass_re": "spmd-partitioning",
        # The machine code never runs.
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
      }
    )
    found = sorted(pathlib.Path(folder).glob("*.after_spmd-partitioning.*"))
    collectives = read_collectives(found[-1].read_text()) if found else []
  xla = compiled.memory_analysis()
  params = state["params"]
  # Forward and backward passes of one step.
  passes = config.accumulate * (2 if config.mask.complementary else 1)
  kept = max(_kept(traced.jaxpr.jaxpr, config.model.depth), default=0)
  return Plan(
    config=config,
    parameters=_count(params),
    block_parameters=_count(params["blocks"]),
    flops=step_flops(config),
    memory=Memory(
      state=xla.argument_size_in_bytes,
      # The sum over passes, and those of the current pass.
      gradients=(1 if passes == 1 else 2)
      * sum(_local_bytes(x) for x in jax.tree.leaves(params)),
      kept=kept,
      work=_work(config, kept, fused),
      compiled=xla.temp_size_in_bytes,
    ),
    collectives=collectives,
  )


def _for_accelerators(config: TrainConfig) -> TrainConfig:
  config = copy.deepcopy(config)
  config.mesh_data = config.mesh_data or 1
  # As on an accelerator, where "auto" is bfloat16.
  model = config.model
  if model.dtype == "auto":
    model.dtype = "bfloat16"
  model.future = model.future or config.mask.live_share > 0  # as `resolve`
  # The fused kernels do not compile for a CPU.
  model.attention = "dot_product"
  if model.embedding == "codebook":
    model.latent = model.latent or _LATENT
  return config


def batch_like(config: TrainConfig, mesh: Any) -> dict[str, Any]:
  """Return shapes and shardings of a step's batch."""
  model = config.model
  rows = jax.NamedSharding(mesh, jax.P(sharding.RULES["batch"]))
  codes = (config.batch, model.window, model.columns)
  shapes: dict[str, tuple[int, ...]] = {"context": codes, "target": codes}
  shapes |= {name: codes[:1] for name in model.conditions}
  if model.beats:
    shapes["place"] = codes[:2]
  like = {
    name: jax.ShapeDtypeStruct(shape, jnp.int32, sharding=rows)
    for name, shape in shapes.items()
  }
  if model.context == "spectrum":
    spectrum = (*codes[:2], SPECTRUM_BANDS)
    like["context"] = jax.ShapeDtypeStruct(spectrum, jnp.float32, sharding=rows)
  return like


def _count(tree: Any) -> int:
  return sum(math.prod(x.shape) for x in jax.tree.leaves(tree))


def _local_bytes(x: Any) -> int:
  return math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize


def _kept(jaxpr: Any, depth: int) -> Iterator[int]:
  """Yield the bytes that each forward scan over the layers saves."""
  for equation in jaxpr.eqns:
    params = equation.params
    if (
      equation.primitive.name == "scan"
      and params["length"] == depth
      and not params["reverse"]
    ):
      # Outputs after the carry: residuals of the backward pass, [depth, ...].
      stacked = equation.outvars[params["num_carry"] :]
      yield sum(_local_bytes(x.aval) for x in stacked)
    for inner in jaxprs_in_params(params):
      yield from _kept(inner, depth)


def _work(config: TrainConfig, kept: int, fused: bool) -> int:
  """Return the bytes of a layer or the head, each with its gradients.

  Args:
    config: configuration of the run.
    kept: bytes saved for the backward pass.
    fused: whether attention is a fused kernel, which stores no scores.
  """
  model, split = config.model, config.mesh_model
  size = jnp.dtype(model.dtype).itemsize
  # Examples of one device and pass.
  b, t = config.batch // config.mesh_data // config.accumulate, model.window
  # Scores, weights and their gradient in float32, [b, heads, t, t].
  scores = 0 if fused else 3 * 4 * b * -(-model.heads // split) * t * t
  wide = 6 * model.width + 2 * -(-model.mlp // split)
  layer = scores + 2 * size * b * t * wide
  # Without the layer's share of `kept`, which is already counted.
  layer = max(layer - kept // model.depth, scores)
  logits = 3 * 4 * b * t * model.codes
  heads = 2 * size * b * model.width * model.codes
  return max(layer, logits + heads)


def report(plan: Plan, devices: Iterable[Hardware]) -> str:
  """Return the plan as text."""
  config, memory = plan.config, plan.memory
  model = config.model
  useful, recomputed = plan.flops
  lines = [
    f"mesh {config.mesh_data} x {config.mesh_model} (data x model), batch "
    f"{config.batch} x {model.window} frames, {model.levels} levels x "
    f"{model.codes} codes, {model.dtype}, remat {model.remat}",
    f"parameters {plan.parameters / 1e6:.1f} M, of them in the blocks "
    f"{plan.block_parameters / 1e6:.1f} M",
    f"operations per step {(useful + recomputed) / 1e12:.4g} TFLOP, of them "
    f"recomputed {recomputed / 1e12:.4g}",
    "",
    "memory of each device, GB",
    text_tables.aligned(
      [
        (words, f"{size / 1e9:.3f}")
        for words, size in (
          ("state and batch: from the compiled step", memory.state),
          ("gradients: float32, sharded as the parameters", memory.gradients),
          ("activations kept: from the traced step", memory.kept),
          ("temporaries of a layer or the head: estimated", memory.work),
          ("total", memory.total),
          (
            "for comparison, XLA's without the state, in float32 on CPUs",
            memory.compiled,
          ),
        )
      ]
    ),
    "",
    "communication of each device with its group per step, MB",
    text_tables.aligned(
      [
        (
          f"{x.count} {x.kind} among {x.devices}",
          f"sent {x.sent_bytes / 1e6:.1f}",
          f"results {x.result_bytes / 1e6:.1f}",
        )
        for x in plan.collectives
      ]
    )
    or "none",
    "",
    f"estimates for {plan.devices} of each device: it has enough memory if "
    f"{1 - _USABLE:.0%} stay free for",
    f"allocator and compiler; time at {_UTILISATION:.0%} of its peak, with and "
    "without overlapped communication",
  ]
  rows = [
    (
      hardware.name,
      f"{hardware.memory / 1e9:.0f} GB",
      f"{memory.total / 1e9:.1f} GB",
      "yes" if plan.fits(hardware) else "no",
      " - ".join(map(duration, plan.seconds(hardware))),
      " - ".join(duration(x * config.steps) for x in plan.seconds(hardware)),
    )
    for hardware in devices
  ]
  header = ("device", "memory", "needed", "fits", "time per step")
  header += (f"{config.steps} steps",)
  return "\n".join([*lines, text_tables.aligned(rows, header)])


def duration(seconds: float) -> str:
  """Return a duration in the unit that suits it, with three digits."""
  value, name = seconds * 1000, "ms"
  # Each from two of its own unit, a second from one.
  for unit, least, longer in (
    (1, 1, "s"),
    (60, 2, "minutes"),
    (3600, 2, "hours"),
    (86400, 2, "days"),
  ):
    if seconds >= least * unit:
      value, name = seconds / unit, longer
  return f"{value:.0f} {name}" if value >= 100 else f"{value:.3g} {name}"
