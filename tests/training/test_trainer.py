import dataclasses
import itertools
import os
import signal

import jax
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config

from stemgen_jax.training import trainer
from stemgen_jax.training.checkpoint import Checkpoints, abstract
from stemgen_jax.training.metrics import read_log
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import init_state


def run(out, batches=None, **changes):
  config = resolve(tiny_config(**changes), fake_data())
  batches = batches or FakeBatches(config)
  valid = list(
    itertools.islice(FakeBatches(config, seed=1), config.validate_batches)
  )
  return trainer.train(config, fake_data(), batches, valid, out)


def saved(out, step=None):
  with Checkpoints(out) as checkpoints:
    step, about = checkpoints.about(step)
    like = abstract(
      lambda key: init_state(about.config, key, None), jax.random.key(0)
    )
    return step, about, checkpoints.load(step, like)


class StopAfter(FakeBatches):
  """Sends this process SIGTERM while a batch is fetched."""

  def __init__(self, config, count):
    super().__init__(config)
    self.count = count

  def __next__(self):
    if self.number + 1 == self.count:
      os.kill(os.getpid(), signal.SIGTERM)
    return super().__next__()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  out = tmp_path_factory.mktemp("runs") / "whole"
  assert run(out) == 6
  return out


def test_stopped_and_resumed_equals_the_uninterrupted_run(whole, tmp_path):
  config = resolve(tiny_config(), fake_data())
  # Two batches are prefetched: the sixth during the fourth step.
  stopped = run(tmp_path / "run", StopAfter(config, 6))
  assert stopped == saved(tmp_path / "run")[0] == 4
  assert run(tmp_path / "run") == 6
  _, about, state = saved(tmp_path / "run")
  _, expected_about, expected = saved(whole)
  jax.tree.map(np.testing.assert_array_equal, state, expected)
  assert about.position == expected_about.position == {"number": 6}

  def losses(out):
    return {
      line["step"]: line["loss"]
      for line in read_log(out / "log.jsonl")
      if line["kind"] == "train"
    }

  assert losses(tmp_path / "run") == losses(whole)


def test_a_run_has_its_log_and_configuration(whole):
  lines = read_log(whole / "log.jsonl")
  train = [line for line in lines if line["kind"] == "train"]
  valid = [line for line in lines if line["kind"] == "validation"]
  assert [line["step"] for line in train] == [2, 4, 6]
  assert [line["step"] for line in valid] == [3, 6]
  assert {"loss", "learning_rate", "examples_per_second", "data_wait"} <= train[
    0
  ].keys()
  assert len(valid[0]["loss_per_level"]) == 2
  assert valid[0]["listening_gain"] == pytest.approx(
    valid[0]["all_masked_shuffled"] - valid[0]["all_masked_true"], abs=1e-4
  )
  assert '"codec": "fake"' in (whole / "config.json").read_text()
  assert '"latent": 3' in (whole / "config.json").read_text()


def test_learns_to_use_the_context_and_keeps_the_codebooks(tmp_path):
  run(tmp_path, steps=150, batch=32, validate_every=150, save_every=150)
  lines = read_log(tmp_path / "log.jsonl")
  valid = lines[-1] if lines[-1]["kind"] == "validation" else lines[-2]
  assert valid["listening_gain"] > 0.3
  _, _, state = saved(tmp_path)
  for which in ("params", "ema"):
    np.testing.assert_array_equal(
      state[which]["embedding"]["codebooks"], fake_data().codebooks
    )


@pytest.mark.parametrize(
  ("config_changes", "data_changes", "message"),
  [
    ({"batch": 4}, {}, "config.batch=8"),
    ({}, {"checksum": "other"}, "codec_checksum='abc'"),
  ],
)
def test_run_resumes_only_with_its_configuration(
  whole, config_changes, data_changes, message
):
  data = fake_data(**data_changes)
  config = resolve(tiny_config(**config_changes), data)
  with pytest.raises(ValueError, match=message):
    trainer.train(config, data, FakeBatches(config), [], whole)


def test_run_resumes_with_accumulation_and_remat(whole, tmp_path):
  run(tmp_path, steps=3)
  less = tiny_config(accumulate=4)
  less.model.remat = "full"
  assert run(tmp_path, accumulate=4, model=less.model) == 6
  _, _, state = saved(tmp_path)
  _, _, expected = saved(whole)
  jax.tree.map(
    # AdamW's first steps are of 1e-2, whatever the gradient's size.
    lambda x, y: np.testing.assert_allclose(x, y, atol=2e-3),
    state["params"],
    expected["params"],
  )


def test_decay_may_move_while_the_rate_is_held(tmp_path):
  def scheduled(out, steps, hold):
    optimizer = tiny_config().optimizer
    held = dataclasses.replace(
      optimizer, warmup_steps=1, hold_steps=hold, decay_steps=2
    )
    return run(out, steps=steps, optimizer=held)

  scheduled(tmp_path / "moved", 3, hold=9)
  scheduled(tmp_path / "moved", 5, hold=2)
  with pytest.raises(ValueError, match=r"hold_steps=2 .* at most 3,"):
    scheduled(tmp_path / "moved", 6, hold=9)
  scheduled(tmp_path / "planned", 5, hold=2)
  moved, planned = (saved(tmp_path / x)[2] for x in ("moved", "planned"))
  jax.tree.map(np.testing.assert_array_equal, moved, planned)


def test_out_of_memory_is_reported_with_advice(tmp_path, monkeypatch):
  def full(*_):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

  monkeypatch.setattr(trainer, "make_train_step", lambda config: full)
  with pytest.raises(ValueError, match=r"accumulate.*RESOURCE_EXHAUSTED"):
    run(tmp_path)


def test_run_resumes_only_with_its_data(whole):
  config = resolve(tiny_config(), fake_data())
  with pytest.raises(ValueError, match=r"other data \(name differ\)"):
    trainer.train(
      config, fake_data(), FakeBatches(config), [], whole, summary={"name": "b"}
    )


def test_nan_loss_ends_the_run(tmp_path):
  data = fake_data(codebooks=np.full((2, 8, 3), np.nan, np.float32))
  config = resolve(tiny_config(save_every=1), data)
  with pytest.raises(ValueError, match="is not finite"):
    trainer.train(config, data, FakeBatches(config), [], tmp_path)
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest is None


def test_window_longer_than_the_records_is_refused():
  config = tiny_config()
  config.model.window = 13
  with pytest.raises(ValueError, match="window=13"):
    resolve(config, fake_data())


def test_on_a_mesh_as_on_one_device(whole, tmp_path):
  run(tmp_path, mesh_data=4, mesh_model=2, validate_every=0)
  train = {
    out: [
      line["loss"]
      for line in read_log(out / "log.jsonl")
      if line["kind"] == "train"
    ]
    for out in (whole, tmp_path)
  }
  np.testing.assert_allclose(train[whole], train[tmp_path], rtol=1e-4)
  # One device resumes the checkpoint of a mesh.
  assert run(tmp_path, steps=8, validate_every=0) == 8


def test_batch_that_does_not_divide_over_the_mesh_is_refused(tmp_path):
  with pytest.raises(ValueError, match="batch=6"):
    run(tmp_path, batch=6, mesh_data=4)
