"""Plan strong and weak scaling, and compare losses, on simulated devices.

Simulated devices share the cores of one machine, so their times say nothing.
What XLA decides before its backends differ is exact: the operations, memory and
collectives of each device. Times follow from these and the data sheets of
`planning.hardware`.
"""

import argparse
import contextlib
import copy
import dataclasses
import functools
import runpy
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from stemgen_jax import text_tables
from stemgen_jax.model import sharding
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.planning import dry_run, hardware
from stemgen_jax.training.prefetch import place
from stemgen_jax.training.step import init_state, make_train_step

_STEPS = 3
# Toy width for the losses: the meshes split it over up to 8 devices.
_TOY = {"depth": 2, "width": 64, "heads": 2, "mlp": 64, "window": 32}


def run(arguments: argparse.Namespace) -> None:
  """Print tables of the plans, of predicted times, and of losses."""
  given = arguments.devices.split(",")
  if not all(x.isdecimal() and int(x) for x in given):
    raise ValueError(f"--devices={arguments.devices}: expected numbers, as 1,2")
  counts = [int(x) for x in given]
  devices = [
    hardware.find(x, "hardware") for x in arguments.hardware.split(",")
  ]
  config = runpy.run_path(arguments.config)["get_config"]()
  dry_run.simulate(config, max(counts))
  cases = {
    "strong": [(n, arguments.batch) for n in counts],
    "weak": [(n, n * arguments.per_device) for n in counts],
  }
  plans = {
    (n, batch): dry_run.plan(
      dataclasses.replace(config, mesh_data=n, batch=batch)
    )
    for n, batch in dict.fromkeys(x for rows in cases.values() for x in rows)
  }
  plan = plans[cases["strong"][0]]
  print(
    f"{plan.parameters / 1e6:.1f} M parameters, window "
    f"{config.model.window} frames; strong: the same batch on all devices, "
    "weak: the same batch per device\n\n"
    + text_tables.markdown(list(_costs(cases, plans)), _HEADER)
    + "\n\nPredicted, at 40 % of the peak: seconds per step with "
    "communication overlapped - not overlapped, and efficiency against the "
    "first row\n\n"
    + text_tables.markdown(
      list(_times(cases, plans, devices)),
      ("scaling", "devices", *(x.name for x in devices)),
    )
    + f"\n\nLosses of {_STEPS} steps at toy width, on simulated devices and "
    "on one\n\n"
    + text_tables.markdown(
      list(_losses(cases, config)),
      ("scaling", "devices", "batch", "losses", "largest relative difference"),
    )
  )


_HEADER = ("scaling", "devices", "batch", "TFLOP each", "GB each")
_HEADER += ("MB sent each per step, by kind",)

_Cases = dict[str, list[tuple[int, int]]]
"""Name -> devices and batch of each row."""
_Plans = dict[tuple[int, int], dry_run.Plan]


def _costs(cases: _Cases, plans: _Plans) -> Iterator[list[str]]:
  """Yield the rows of what the compiled program states."""
  for name, rows in cases.items():
    for n, batch in rows:
      plan = plans[n, batch]
      sent: dict[str, float] = {}
      for x in plan.collectives:
        sent[x.kind] = sent.get(x.kind, 0) + x.sent_bytes / 1e6
      kinds = ", ".join(f"{kind} {mb:.0f}" for kind, mb in sent.items())
      yield [
        name,
        str(n),
        str(batch),
        f"{sum(plan.flops) / n / 1e12:.2f}",
        f"{plan.memory.total / 1e9:.1f}",
        kinds or "none",
      ]


def _times(
  cases: _Cases, plans: _Plans, devices: list[hardware.Hardware]
) -> Iterator[list[str]]:
  """Yield the rows of predicted times and efficiencies."""
  for name, rows in cases.items():
    first = rows[0]
    for n, batch in rows:
      cells = []
      for device in devices:
        seconds = plans[n, batch].seconds(device)
        # Examples per second and device, against those of the first row.
        ratio = (batch / n) / (first[1] / first[0])
        start = plans[first].seconds(device)
        best, least = (
          f"{100 * ratio * a / b:.0f}" for a, b in zip(start, seconds)
        )
        fits = "" if plans[n, batch].fits(device) else ", too little memory"
        cells.append(
          f"{seconds[0]:.3f} - {seconds[1]:.3f}, {least} - {best} %{fits}"
        )
      yield [name, str(n), *cells]


def _losses(cases: _Cases, config: TrainConfig) -> Iterator[list[str]]:
  """Yield the rows of losses, compared with those of one device."""
  toy = copy.deepcopy(config)
  # Random codes alone: no spectra of contexts, and no scales.
  toy.model = dataclasses.replace(
    toy.model,
    **_TOY,
    **{"dtype": "float32", "embedding": "table"},
    **{"context": "codes", "scale_frames": 0},
  )
  toy.optimizer.warmup_steps, toy.optimizer.learning_rate = 0, 1e-2
  train = functools.cache(functools.partial(_train, toy))
  for name, rows in cases.items():
    for n, batch in rows:
      alone, found = train(1, batch), train(n, batch)
      far = np.max(np.abs(np.array(found) / alone - 1))
      texts = " ".join(f"{x:.5f}" for x in found)
      yield [name, str(n), str(batch), texts, f"{far:.0e}"]


def _train(config: TrainConfig, devices: int, batch: int) -> list[float]:
  """Return the losses of some steps on random codes."""
  config = dataclasses.replace(config, mesh_data=devices, batch=batch)
  model = config.model
  mesh = sharding.make_mesh(devices)
  with contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh):
    state = jax.jit(lambda key: init_state(config, key, None))(
      jax.random.key(0)
    )
    step: Any = make_train_step(config)
    rng, shape = np.random.default_rng(0), (batch, model.window, model.levels)
    codes = {
      side: rng.integers(model.codes, size=shape).astype(np.int32)
      for side in ("context", "target")
    }
    codes |= {name: np.zeros(batch, np.int32) for name in model.conditions}
    found = []
    for _ in range(_STEPS):
      # The same batch every time, so that the loss falls.
      state, metrics = step(state, place(codes), jax.random.key(1))
      found.append(float(metrics["loss"]))
  return found
