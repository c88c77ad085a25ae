"""Compare passes and training steps with PyTorch, in one interleaved run.

Every row of the table is a process of its own; their runs alternate, so that
all meet the same disturbances. The processes of one size and work are alive
together. Speeds and ratios are those of the fastest runs.
"""

import argparse
import dataclasses
import pathlib
import runpy
from collections.abc import Callable
from importlib import metadata
from typing import Any

from stemgen_jax import text_tables
from stemgen_jax.model.flops import pass_flops
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.planning.flops import step_flops

from .processes import ROOT, WORKER, Worker, interleave
from .processor import processor

_FORWARD_BATCH = 2  # the two branches of guided sampling
_HEADER = (
  "size",
  "work",
  "code",
  "dtype",
  "optimizer",
  "median ms",
  "min ms",
  "GFLOP/s",
  "of GEMM",
  "x torch",
  "x baseline",
  "peak GB",
)
_FRAMEWORKS = ("jax", "torch")


def _config(name: str, batch: int, **shape: Any) -> TrainConfig:
  config: TrainConfig = runpy.run_path(str(ROOT / f"configs/{name}.py"))[
    "get_config"
  ]()
  model = dataclasses.replace(config.model, **shape)
  return dataclasses.replace(config, model=model, batch=batch)


_DEMO: dict[str, Any] = {"codes": 1024, "latent": 128}  # of the demo codec
_SIZES: dict[str, Callable[[], TrainConfig]] = {
  "4x256": lambda: _config("demo", 16, **_DEMO),
  "6x256": lambda: _config("demo", 16, **_DEMO, depth=6, window=500),
  "8x512": lambda: _config(
    "demo", 8, **_DEMO, depth=8, width=512, heads=8, mlp=1408, window=500
  ),
  "20x1024": lambda: _config("slakh", 2),
  # For tests.
  "2x32": lambda: _config(
    "demo", 2, codes=16, latent=8, depth=2, width=32, mlp=48, window=20
  ),
}


def run(arguments: argparse.Namespace) -> None:
  """Measure, and print a table in Markdown."""
  works = arguments.works.split(",")
  for name, known in (
    ("sizes", tuple(_SIZES)),
    ("works", ("forward", "train")),
    ("dtypes", ("float32", "bfloat16")),
  ):
    given = filter(None, (getattr(arguments, name) or "").split(","))
    if unknown := set(given) - set(known):
      raise SystemExit(
        f"--{name}: unknown {', '.join(sorted(unknown))}; expected some of "
        f"{', '.join(known)}"
      )
  print(f"{processor()}; {_versions()}")
  dtypes, peaks = _products(arguments)
  print()
  header: tuple[str, ...] = _HEADER
  for size in arguments.sizes.split(","):
    for work in works:
      if size == "20x1024" and work == "train" and not arguments.widest_step:
        continue
      rows = _rows(arguments, size, work, dtypes, peaks)
      table = text_tables.markdown(rows, _HEADER).splitlines()
      # The header is printed once, above the first rows.
      print("\n".join(table if header else table[2:]), flush=True)
      header = ()


def _products(
  arguments: argparse.Namespace,
) -> tuple[list[str], dict[str, float]]:
  """Return the dtypes to measure and the peak FLOP/s of products in them."""

  def measure(
    size: int, dtypes: list[str], seconds: float
  ) -> dict[tuple[str, str], float]:
    workers = [
      Worker(
        f"{framework} gemm",
        {"framework": framework, "work": "gemm", "dtype": dtype, "size": size},
      )
      for dtype in dtypes
      for framework in _FRAMEWORKS
    ]
    interleave(workers, 3, seconds)
    return {
      (worker.job["framework"], worker.job["dtype"]): 2
      * size**3
      / worker.fastest
      for worker in workers
    }

  dtypes = list(filter(None, (arguments.dtypes or "").split(",")))
  if not dtypes:
    # A small product: without hardware for it, bfloat16 takes up to 80 times
    # as long (measured with PyTorch on AVX2).
    small = measure(512, ["float32", "bfloat16"], 0.0)
    fast = {
      dtype: max(small[framework, dtype] for framework in _FRAMEWORKS)
      for dtype in ("float32", "bfloat16")
    }
    dtypes = ["float32"]
    if fast["bfloat16"] > fast["float32"]:
      dtypes.append("bfloat16")
    else:
      print(
        f"bfloat16 is left out: its products run at "
        f"{fast['bfloat16'] / fast['float32']:.2f} times the speed of float32; "
        "--dtypes=float32,bfloat16 measures both"
      )
  n = arguments.gemm
  speeds = measure(n, dtypes, min(5.0, arguments.seconds))
  cells = [
    f"{framework} {dtype} {speed / 1e9:.0f} GFLOP/s"
    for (framework, dtype), speed in speeds.items()
  ]
  print(f"GEMM of {n} x {n}: {', '.join(cells)}")
  return dtypes, {
    dtype: max(speeds[framework, dtype] for framework in _FRAMEWORKS)
    for dtype in dtypes
  }


def _rows(
  arguments: argparse.Namespace,
  size: str,
  work: str,
  dtypes: list[str],
  peaks: dict[str, float],
) -> list[list[str]]:
  config = _SIZES[size]()
  if work == "forward":
    config.batch = _FORWARD_BATCH
    one = pass_flops(config.model)
    each = one.attention + one.blocks + one.head
    flops = config.batch * each + one.table
  else:
    flops = step_flops(config).useful
  optimizers = ["adamw", "muon"] if work == "train" else [""]
  workers: list[Worker] = []

  def add(
    code: str, framework: str, dtype: str, optimizer: str, **place: Any
  ) -> None:
    if optimizer:
      config.optimizer.kind = optimizer
    job = {
      "framework": framework,
      "work": work,
      "dtype": dtype,
      "optimizer": optimizer,
      "config": _changed(config),
    }
    workers.append(Worker(code, job, **place))

  for dtype in dtypes:
    for optimizer in optimizers:
      add("ours", "jax", dtype, optimizer)
    add("torch", "torch", dtype, optimizers[0])
  if arguments.baseline:
    # As that checkout's commands run it.
    root = pathlib.Path(arguments.baseline).resolve()
    script = arguments.baseline_worker or root / WORKER.relative_to(ROOT)
    script = pathlib.Path(script).resolve()
    add("baseline", "jax", "auto", optimizers[-1], root=root, script=script)
  autos = interleave(workers, arguments.rounds, arguments.seconds)

  torch = {x.job["dtype"]: x.fastest for x in workers if x.name == "torch"}
  baseline = [x.fastest for x in workers if x.name == "baseline"]
  rows = []
  for worker, auto in zip(workers, autos):
    dtype = worker.job["dtype"].replace("auto", auto)
    speed = flops / worker.fastest
    ratios = [
      f"{other / worker.fastest:.3g}" if other else ""
      for other in (torch.get(dtype), baseline[0] if baseline else None)
    ]
    name = worker.name + (" (auto)" if auto == dtype else "")
    peak = f"{100 * speed / peaks[dtype]:.0f} %" if dtype in peaks else ""
    rows.append(
      [
        size,
        f"{work}, {config.batch} x {config.model.window}",
        name,
        dtype,
        worker.job["optimizer"],
        f"{1e3 * worker.median:.1f}",
        f"{1e3 * worker.fastest:.1f}",
        f"{speed / 1e9:.0f}",
        peak,
        *ratios,
        f"{worker.memory / 1e9:.2f}",
      ]
    )
  return rows


def _changed(config: Any) -> dict[str, Any]:
  """Return the fields that are not the defaults, which older versions know."""
  fields, default = {}, type(config)()
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if dataclasses.is_dataclass(value):
      fields[field.name] = _changed(value)
    elif value != getattr(default, field.name):
      fields[field.name] = value
  return fields


def _versions() -> str:
  return ", ".join(f"{x} {metadata.version(x)}" for x in _FRAMEWORKS)
