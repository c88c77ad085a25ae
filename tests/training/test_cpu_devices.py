import functools
import json
import os
from typing import Any

import jax
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config

from stemgen_jax.model import ModelConfig, sharding
from stemgen_jax.training import cpu_devices, launch, trainer
from stemgen_jax.training.metrics import read_log
from stemgen_jax.training.optimizer import OptimizerConfig
from stemgen_jax.training.prefetch import place
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import (
  init_state,
  make_train_step,
  make_validation_step,
)


@functools.cache
def config(depth, kind="muon"):
  model = ModelConfig(
    width=16,
    depth=depth,
    heads=2,
    mlp=16,
    window=8,
    embedding="codebook",
    remat="none",
    dtype="float32",
  )
  optimizer = OptimizerConfig(kind=kind, learning_rate=1e-3, warmup_steps=0)
  changes: dict[str, Any] = {"model": model, "optimizer": optimizer}
  return resolve(tiny_config(accumulate=2, **changes), fake_data())


def train(wanted):
  """Metrics of three steps, the parameters, and sums of a validation."""
  init = jax.jit(lambda key, books: init_state(wanted, key, books))
  state = init(jax.random.key(0), fake_data().codebooks)
  step: Any = make_train_step(wanted)
  batches, key = FakeBatches(wanted), jax.random.key(1)
  measured = []
  for _ in range(3):
    state, metrics = step(state, place(next(batches)), key)
    measured.append(metrics)
  assert step._cache_size() == 1
  sums = make_validation_step(wanted)(
    state["params"], place(next(batches)), key
  )
  return jax.device_get((measured, sums)), state["params"]


# With three layers Muon's work cannot be split over two devices.
@pytest.mark.parametrize(("depth", "kind"), [(2, "muon"), (3, "muon")])
def test_a_step_on_copies_equals_that_of_one_device(depth, kind):
  wanted = config(depth, kind)
  with jax.set_mesh(sharding.make_copies(2)):
    figures, params = train(wanted)
    whole = {len(x.sharding.device_set) for x in jax.tree.leaves(params)}
    assert whole == {2}
    assert all(x.is_fully_replicated for x in jax.tree.leaves(params))
    with sharding.without_copies():
      assert jax.sharding.get_mesh().empty
  expected, expected_params = train(wanted)
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
    jax.device_get((figures, params)),
    jax.device_get((expected, expected_params)),
  )


def test_a_run_resumes_on_another_number_of_devices(tmp_path):
  wanted = resolve(tiny_config(mesh_data=0), fake_data())
  for steps, copies in ((3, 2), (6, 1)):
    wanted.steps, wanted.mesh_data = steps, copies % 2
    batches, valid = FakeBatches(wanted), [next(FakeBatches(wanted, seed=1))]
    reached = trainer.train(
      wanted, fake_data(), batches, valid, tmp_path, copies=copies
    )
    assert reached == steps
  log = read_log(tmp_path / "log.jsonl")
  starts = [line for line in log if line["kind"] == "start"]
  assert [x["devices"] for x in starts] == ["2 x cpu", "1 x cpu"]
  assert [x["copies"] for x in starts] == [2, 1]
  assert [x["step"] for x in log if x["kind"] == "validation"] == [3, 6]


@pytest.mark.parametrize(
  ("cores", "changes", "wanted", "devices"),
  [
    (2, {}, 0, 2),
    (3, {}, 0, 1),  # does not divide the batch
    (2, {"accumulate": 8}, 0, 1),
    (64, {"batch": 64}, 0, 1),  # not measured
    (2, {"mesh_data": 1}, 0, 1),
    (2, {"mesh_model": 2}, 0, 1),
    (2, {}, 4, 4),
    (2, {}, 1, 1),
  ],
)
def test_every_core_is_a_device_if_the_batch_divides(
  cores, changes, wanted, devices, monkeypatch
):
  monkeypatch.setattr(
    os, "sched_getaffinity", lambda _: range(cores), raising=False
  )
  run = tiny_config(**({"mesh_data": 0} | changes))
  assert cpu_devices.choose(run, wanted, processes=False) == devices
  assert cpu_devices.choose(run, 0, processes=True) == 1


@pytest.mark.parametrize(
  ("start", "wanted", "devices"),
  [
    ({"devices": "4 x cpu", "copies": 4}, 0, 4),
    ({"devices": "4 x cpu", "copies": 4}, 2, 2),
    ({"devices": "8 x cpu", "copies": 1}, 0, 1),  # a mesh of 8
    ({"devices": "4 x cpu"}, 0, 4),  # of an earlier version
    ({"devices": "1 x H100", "copies": 1}, 0, 1),
    ({"devices": "1 x H100"}, 0, 2),
    ({"devices": "3 x cpu", "copies": 3}, 0, 2),  # does not divide the batch
    ({}, 0, 2),
  ],
)
def test_a_run_keeps_its_number_of_devices(
  start, wanted, devices, tmp_path, monkeypatch
):
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2))
  lines = [{"kind": "start", "copies": 8}, {"kind": "start", **start}]
  lines.append({"kind": "train"})
  text = "\n".join(json.dumps({"step": 0} | line) for line in lines)
  (tmp_path / "log.jsonl").write_text(text)
  run = tiny_config(mesh_data=0)
  options = {"processes": False, "out": tmp_path}
  assert cpu_devices.choose(run, wanted, **options) == devices
  options["out"] = tmp_path / "new"
  assert cpu_devices.choose(run, wanted, **options) == (wanted or 2)


@pytest.mark.parametrize(
  ("changes", "wanted", "message"),
  [
    ({}, 3, "--cpu_devices=3: expected a divisor of the 8 examples"),
    ({}, -1, "--cpu_devices=-1"),
    ({"mesh_data": 2}, 2, "with a mesh"),
  ],
)
def test_devices_that_do_not_suit_the_run_are_refused(changes, wanted, message):
  run = tiny_config(**({"mesh_data": 0} | changes))
  with pytest.raises(ValueError, match=message):
    cpu_devices.choose(run, wanted, processes=False)


def test_devices_that_the_user_has_set_stay():
  assert jax.device_count() == 8  # see conftest.py
  assert cpu_devices.start(2) == 1


def test_a_run_keeps_its_dtype(tmp_path, monkeypatch):
  run = resolve(tiny_config(), fake_data())
  recorded = launch.with_dtype(run, tmp_path)
  assert recorded.model.dtype in ("float32", "bfloat16")
  (tmp_path / "config.json").write_text('{"model": {"dtype": "bfloat16"}}')
  assert launch.with_dtype(run, tmp_path).model.dtype == "bfloat16"
  run.model.dtype = "float32"
  assert launch.with_dtype(run, tmp_path).model.dtype == "float32"
