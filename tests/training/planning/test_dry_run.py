import dataclasses
import functools
import pathlib
import sys
from typing import Any

import jax
import pytest
from fake_data import fake_data, tiny_config

from stemgen_jax import __main__ as command
from stemgen_jax.model import sharding
from stemgen_jax.training.checkpoint import state_like
from stemgen_jax.training.planning import dry_run, fleets, hardware
from stemgen_jax.training.planning.collectives import (
  Collective,
  read_collectives,
)
from stemgen_jax.training.planning.flops import step_flops
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import make_train_step

ALL = hardware.HARDWARE.values()
DEMO = pathlib.Path(__file__).parents[3] / "configs/demo.py"


def config(**changes):
  config = tiny_config()
  model = config.model
  model.width, model.heads, model.mlp, model.depth = 128, 4, 320, 3
  model.remat = "dots"
  for name, value in changes.items():
    setattr(model if hasattr(model, name) else config, name, value)
  return resolve(config, fake_data())


@functools.cache
def plan_of(**changes):
  """The plan of a changed configuration; a compilation each, seldom two."""
  return dry_run.plan(config(**changes))


@pytest.mark.parametrize("remat", ["none", "dots", "full"])
def test_operations_are_about_those_that_xla_counts(remat):
  # One layer: XLA counts the body of a loop once.
  shape = config(depth=1, remat=remat, attention="dot_product")
  mesh = jax.make_mesh((1, 1), ("data", "model"), devices=jax.devices()[:1])
  with jax.set_mesh(mesh):
    batch = dry_run.batch_like(shape, mesh)
    step: Any = make_train_step(shape)
    lowered = step.lower(state_like(shape), batch, jax.random.key(0))
  counted = lowered.cost_analysis()
  assert counted is not None
  # The formula counts matrix products only.
  assert sum(step_flops(shape)) == pytest.approx(counted["flops"], rel=0.15)


def test_plan_has_the_memory_of_each_device():
  plan = plan_of(mesh_data=4, mesh_model=2)
  with jax.set_mesh(sharding.make_mesh(4, 2)):
    state = jax.tree.leaves(state_like(plan.config))
  held = sum(_bytes(x) for x in state)
  assert plan.memory.state == pytest.approx(held, rel=0.02)
  # Per frame in bfloat16, of 2 examples and 8 frames: queries, keys and
  # values and the SwiGLU's two halves, of which each device has half; the
  # sums after attention and SwiGLU, whole.
  per_frame = 3 * 128 // 2 + 2 * 320 // 2 + 2 * 128
  assert plan.memory.kept == 3 * 2 * 8 * 2 * per_frame
  assert plan.memory.gradients < plan.memory.state / 3
  assert "mesh 4 x 2" in dry_run.report(plan, ALL)


def _bytes(x):
  size = x.dtype.itemsize
  for n in x.sharding.shard_shape(x.shape):
    size *= n
  return size


def test_fsdp_gathers_every_kernel_twice_and_scatters_its_gradient():
  plan = plan_of(mesh_data=8)
  kernels, layers = 6, 3
  found = {(x.kind, x.devices): x for x in plan.collectives}
  assert found["reduce-scatter", 8].count == kernels * layers
  assert found["all-gather", 8].count >= 2 * kernels * layers
  # In bfloat16, not in the float32 of the simulated devices.
  of_kernels = 2 * (plan.block_parameters - layers * 2 * 128)
  assert found["reduce-scatter", 8].result_bytes * 8 == of_kernels
  gathered = found["all-gather", 8].result_bytes
  assert 2 * of_kernels <= gathered < 2.2 * of_kernels


def test_one_device_exchanges_nothing_and_keeps_less_if_it_recomputes():
  plans = {remat: plan_of(remat=remat) for remat in ("none", "full")}
  assert all(not plan.collectives for plan in plans.values())
  none, full = plans["none"], plans["full"]
  assert full.memory.kept == 3 * 8 * 8 * 128 * 2  # the layers' inputs alone
  assert none.memory.kept > 10 * full.memory.kept
  assert full.flops.recomputed > none.flops.recomputed == 0


def test_several_passes_need_memory_for_gradients_and_their_sum():
  one, two = plan_of().memory, plan_of(accumulate=2).memory
  assert two.gradients == 2 * one.gradients
  assert two.kept == one.kept / 2


def test_run_that_does_not_fit_is_reported():
  plan = plan_of()
  small = hardware.Hardware("small", "L4", plan.memory.total, 1e9, 8, 1e9)
  assert not plan.fits(small)
  assert plan.fits(hardware.find("h100-80gb"))
  least, most = plan.seconds(small)
  assert least == most == pytest.approx(sum(plan.flops) / (0.4 * 121e12))
  assert "no " in dry_run.report(plan, [small]).splitlines()[-1]


def test_loops_and_groups_are_read_from_the_program():
  text = """
%body (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %ag = bf16[8,2]{1,0} all-gather(%x), replica_groups=[2,4]<=[8], dimensions={0}
  %ar = f32[16]{0} all-reduce(%y), replica_groups={{0,1},{2,3}}, to_apply=%add
  %ds = f32[8]{0} dynamic-slice(%ar, %i), dynamic_slice_sizes={8}
}
%condition (p: (s32[], f32[4])) -> pred[] {
  %n = s32[] constant(5)
}
ENTRY %main (p: f32[4]) -> f32[4] {
  %w = (s32[], f32[4]{0}) while(%t), condition=%condition, body=%body
  %r = (f32[2], s32[]) all-reduce(%a),replica_groups=mesh['a'=2,'b'=4] {'a','b'}
}
"""
  assert read_collectives(text) == [
    Collective("all-gather", 4, 5, 5 * 32),
    Collective("all-reduce", 8, 1, 12),
    Collective("reduce-scatter", 2, 5, 5 * 32),
  ]
  with pytest.raises(ValueError, match="HLO"):
    read_collectives("nothing")


def run(monkeypatch, *flags):
  argv = ["train", "--dry_run", f"--config={DEMO}", *flags]
  # As in a new process, see test_apps.
  sys.modules.pop("stemgen_jax.apps.train", None)
  monkeypatch.setattr(sys, "argv", ["stemgen-jax", *argv])
  return command.main(argv)


def test_dry_run_needs_no_data(capsys, monkeypatch):
  small = ("--config.model.depth=1", "--device=TPU-v5e")
  assert run(monkeypatch, *small) == 0
  printed = capsys.readouterr().out
  assert "TPU-v5e" in printed
  assert "H100" not in printed
  assert "fits" in printed
  assert run(monkeypatch, "--device=abacus") == 1
  assert "--device=abacus: expected one of A100-80GB" in capsys.readouterr().err
  assert run(monkeypatch, "--replay=nowhere") == 1
  assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("name", "known"),
  [
    ("tpu-V5E", "TPU-v5e"),
    ("TPU v5", "TPU-v5p"),  # as JAX calls it
    ("v6e", "TPU-v6e"),
    ("NVIDIA A100-SXM4-40GB", "A100-80GB"),
    ("H100", "H100-80GB"),
    ("TPU v5 lite", "TPU-v5e"),
    ("v5litepod-8", "TPU-v5e"),
    ("H200", "H200"),
    ("H20O", ""),
    ("TPU", ""),
    ("", ""),
    # Other devices, whose names contain or resemble those above.
    *((name, "") for name in ("A10", "A10G", "RTX A6000", "H20")),
    *((name, "") for name in ("B200", "GB200", "v5")),
  ],
)
def test_the_device_of_a_name(name, known, capsys):
  if known:
    assert hardware.find(name).name == known
    exact = name.lower() in (known.lower(), known.lower().removeprefix("tpu-"))
    note = "" if exact else f"{name} is taken as {known}\n"
    assert capsys.readouterr().out == note
  else:
    with pytest.raises(ValueError, match=r"expected one of .*TPU-v4"):
      hardware.find(name)


def test_too_many_devices_are_refused():
  with pytest.raises(ValueError, match="needs 16 devices"):
    dry_run.plan(config(mesh_data=8, mesh_model=2))


def test_sets_of_devices_are_planned_in_one_table(monkeypatch):
  sets = hardware.find_sets("v5e:4, h100,A100-80GB:2")
  assert [(x.name, n) for x, n in sets] == [
    ("TPU-v5e", 4),
    ("H100-80GB", 1),
    ("A100-80GB", 2),
  ]
  real = plan_of()
  big = dataclasses.replace(real.memory, kept=int(30e9))

  def plan(config):  # of which two passes fit into a TPU
    memory = big if config.accumulate == 1 else real.memory
    return dataclasses.replace(real, config=config, memory=memory)

  monkeypatch.setattr(dry_run, "plan", plan)
  lines = fleets.report(config(batch=14, steps=10), sets[:2]).splitlines()
  rows = [line.split() for line in lines]
  assert rows[0][:2] == ["devices", "batch"]
  assert "hours for 0.00014 M examples" in lines[0]
  # The batch grows to a multiple of the devices.
  assert rows[1][:5] == ["4", "x", "TPU-v5e", "16", "2"]
  assert rows[2][:5] == ["1", "x", "H100-80GB", "14", "1"]
  for wrong in ("v5e:0", "v5e:many", "v5e:2000"):
    with pytest.raises(ValueError, match=r"expected NAME or NAME:COUNT"):
      hardware.find_sets(wrong)


def test_a_pass_may_have_one_example():
  assert plan_of(accumulate=8).memory.kept == plan_of().memory.kept / 8
