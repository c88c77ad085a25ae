import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config
from test_trainer import run, saved

from stemgen_jax import model
from stemgen_jax.training import runs, trainer
from stemgen_jax.training.checkpoint import About, Checkpoints
from stemgen_jax.training.optimizer import OptimizerConfig
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import init_state


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  out = tmp_path_factory.mktemp("runs") / "trained"
  run(out, steps=2, validate_every=0)
  return out


def test_fine_tuning_starts_from_weights_and_keeps_frozen_ones(
  trained, tmp_path, capsys
):
  weights = runs.load_run(trained)
  exported = tmp_path / "model.safetensors"
  model.save_weights(exported, weights.config, weights.params, {})
  tuned = OptimizerConfig(
    learning_rate=3e-3, warmup_steps=0, frozen=("embedding/", "^blocks")
  )
  for start in (trained, exported):
    out = tmp_path / f"from_{start.name}"
    run(out, start=str(start), optimizer=tuned, steps=2, validate_every=0)
    printed = capsys.readouterr().out
    assert "frozen by '^blocks': 8 of 16 arrays" in printed
    _, about, state = saved(out)
    assert about.config.start == str(start)
    for which in ("params", "ema"):
      moved = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, same in jax.tree_util.tree_leaves_with_path(
          jax.tree.map(
            lambda x, y: bool((x == y).all()), state[which], weights.params
          )
        )
        if not same
      }
      assert moved == {"norm/scale", "head"}
    # Adam's first steps have the size of the learning rate.
    far = np.abs(state["params"]["head"] - weights.params["head"]).max()
    assert 1e-3 < far < 7e-3
  # Later calls resume from the run's own checkpoint.
  exported.unlink()
  same = {"optimizer": tuned, "validate_every": 0, "start": str(exported)}
  assert run(tmp_path / "from_model.safetensors", steps=3, **same) == 3


def test_run_trained_on_a_gpu_loads_without_one(tmp_path):
  config = resolve(tiny_config(), fake_data())
  config.model.attention = "cudnn"
  with Checkpoints(tmp_path) as checkpoints:
    state = jax.jit(lambda key: init_state(config, key, None))(
      jax.random.key(0)
    )
    checkpoints.save(1, state, About(config, {}, None))
  assert runs.load_run(tmp_path).config.attention == "auto"


def test_weights_of_another_model_or_codec_are_refused(trained, tmp_path):
  config = tiny_config(start=str(trained))
  config.model = dataclasses.replace(config.model, depth=2, mlp=8)
  config = resolve(config, fake_data())
  with pytest.raises(
    ValueError, match=r"give --config.model.depth=1 --config.model.mlp=16$"
  ):
    trainer.train(config, fake_data(), FakeBatches(config), [], tmp_path / "a")

  other = fake_data(checksum="other")
  config = resolve(tiny_config(start=str(trained)), other)
  with pytest.raises(ValueError, match="trained on codes of codec 'fake'"):
    trainer.train(config, other, FakeBatches(config), [], tmp_path / "b")

  config = resolve(tiny_config(start="nowhere"), fake_data())
  with pytest.raises(FileNotFoundError, match="no weights at nowhere"):
    trainer.train(config, fake_data(), FakeBatches(config), [], tmp_path / "c")
  assert not list(tmp_path.iterdir())  # no folder of a run


def test_added_conditions_leave_the_first_outputs_as_they_were(
  trained, tmp_path
):
  weights, names = runs.load_run(trained), ("category", "genre", "role")
  config = dataclasses.replace(weights.config, conditions=names)
  started = runs.load_start(trained, config)
  batch = jax.tree.map(jnp.asarray, next(FakeBatches(tiny_config())))

  def logits(weights, **ids):
    conditions = {"category": batch["category"]} | ids
    codes = (batch["context"], batch["target"], conditions, 0)
    return model.apply(weights.config, weights.params, *codes)

  expected = logits(weights)
  for genre, role in ((0, 0), (3, 1), (13, 4)):  # the last ones are null
    ids = {"genre": jnp.full(8, genre), "role": jnp.full(8, role)}
    np.testing.assert_array_equal(logits(started, **ids), expected)
  # They are trained, and so is their null row.
  wider = dataclasses.replace(tiny_config().model, conditions=names)
  out = tmp_path / "tuned"
  run(out, start=str(trained), model=wider, steps=4, condition_drop=0.5)
  _, about, state = saved(out)
  assert about.config.model.conditions == names
  tables = state["params"]["embedding"]["conditions"]
  assert (tables["genre"][jnp.array([0, 13])] != 0).any(axis=1).all()
  assert not tables["genre"][1:13].any()  # no example has them
  # They cannot be left out again.
  with pytest.raises(
    ValueError, match=r"config.model.conditions=\('category', "
  ):
    runs.load_start(out, weights.config)
