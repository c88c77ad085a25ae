"""Training with places in the bar as a second target."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config
from steps import fresh, named, once
from test_trainer import run, saved

from stemgen_jax.model import apply, sharding
from stemgen_jax.model.config import BAR_BEATS, BEAT_PARTS
from stemgen_jax.training import runs
from stemgen_jax.training.metrics import summarize
from stemgen_jax.training.prefetch import place as placed
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.scores import score_places
from stemgen_jax.training.step import (
  make_gradient,
  make_train_step,
  make_validation_step,
  views,
)

KEY = jax.random.key(0)
MODEL = dataclasses.replace(tiny_config().model, beats=True)


def of_beats(**changes):
  return resolve(tiny_config(model=MODEL, **changes), fake_data())


class Batches(FakeBatches):
  """The place follows from the context; every fourth example has none."""

  def __next__(self):
    batch = super().__next__()
    place = 3 * batch["context"][..., 0] + 1
    place[::4] = -1
    return batch | {"place": place}


def gradient(config, batch):
  params = fresh(config)["params"]
  passes = views(config, placed(batch), KEY)
  return jax.jit(make_gradient(config))(params, passes)


def test_places_that_are_unknown_do_not_count():
  places = BAR_BEATS * BEAT_PARTS
  # Sure of beat 2, part 3.
  logits = jnp.zeros((1, 4, places)).at[..., 2 * BEAT_PARTS + 3].set(100.0)
  place = jnp.array([[19, 3, 20, -1]])
  sums = {x: float(y) for x, y in score_places(logits, place).items()}
  assert sums == {
    "place_loss": 200.0,
    "place_correct": 1.0,
    "place_parts": 2.0,
    "place_frames": 3.0,
  }
  nothing = score_places(logits, jnp.full((1, 4), -1))
  assert not any(float(x) for x in nothing.values())


def test_the_loss_of_beats_is_added_by_its_weight():
  batch = next(Batches(of_beats()))
  (plain, _), _ = gradient(of_beats(beat_weight=1e-9), batch)
  (loss, sums), grads = gradient(of_beats(beat_weight=0.5), batch)
  # A new head predicts all places alike, but for its small weights.
  mean = float(sums["place_loss"] / sums["place_frames"])
  assert mean == pytest.approx(math.log(64), abs=0.05)
  assert float(loss - plain) == pytest.approx(0.5 * mean, abs=1e-5)
  assert (grads["beat_head"] != 0).any()
  # Without any place the gradient is that of the codes.
  unknown = batch | {"place": np.full_like(batch["place"], -1)}
  (loss, _), grads = gradient(of_beats(beat_weight=0.5), unknown)
  assert float(loss) == pytest.approx(float(plain), abs=1e-6)
  assert not grads["beat_head"].any()


def test_accumulated_passes_and_meshes_have_the_same_gradient():
  batch = next(Batches(of_beats()))
  (loss, _), grads = gradient(of_beats(), batch)
  config = of_beats(accumulate=4)
  (same, _), accumulated = gradient(config, batch)
  assert float(same) == pytest.approx(float(loss), abs=1e-6)
  for name, leaf in named(grads).items():
    np.testing.assert_allclose(named(accumulated)[name], leaf, atol=1e-6)

  step = once(make_train_step, of_beats())
  _, expected = step(fresh(of_beats()), placed(batch), KEY)
  with jax.set_mesh(sharding.make_mesh(4, 2)):
    step = once(make_train_step, of_beats())
    _, metrics = step(fresh(of_beats()), placed(batch), KEY)
    for name in ("loss", "place_loss", "place_frames", "gradient_norm"):
      assert float(metrics[name]) == pytest.approx(
        float(expected[name]), rel=1e-5
      )


def test_beats_are_learned_and_reported():
  config = of_beats(beat_weight=1.0)
  step, check = make_train_step(config), make_validation_step(config)
  state, batches = fresh(config), Batches(config)

  def figures_of(params):
    return summarize([check(params, placed(next(batches)), KEY)])

  before = figures_of(state["params"])
  metrics = {}
  for _ in range(120):
    state, metrics = step(state, placed(next(batches)), KEY)
  figures = figures_of(state["params"])
  assert before["beat_accuracy"] < 0.4
  assert before["bar_accuracy"] < 0.3
  assert figures["bar_accuracy"] > 0.9
  assert figures["beat_accuracy"] >= figures["bar_accuracy"]
  assert figures["beat_loss"] < before["beat_loss"] - 1
  trained = summarize([metrics])
  assert trained["beat_accuracy"] > 0.8
  assert not any(x.startswith("place") for x in trained)


def test_a_head_of_beats_can_be_added_to_weights_and_left_out(tmp_path):
  run(tmp_path / "plain", steps=2, validate_every=0)
  weights = runs.load_run(tmp_path / "plain")
  with_head = dataclasses.replace(weights.config, beats=True)
  started = runs.load_start(tmp_path / "plain", with_head)
  assert not started.params["beat_head"].any()
  batch = jax.tree.map(jnp.asarray, next(Batches(of_beats())))
  inputs = (batch["context"], batch["target"], {"category": batch["category"]})
  expected = apply(weights.config, weights.params, *inputs, 0)
  np.testing.assert_array_equal(
    apply(with_head, started.params, *inputs, 0), expected
  )
  out, config = tmp_path / "tuned", of_beats()
  run(
    out,
    batches=Batches(config),
    start=str(tmp_path / "plain"),
    model=MODEL,
    steps=3,
    validate_every=0,
  )
  _, about, state = saved(out)
  assert about.config.model.beats
  assert state["params"]["beat_head"].any()
  plain = runs.load_start(out, weights.config)
  assert "beat_head" not in plain.params
  assert not plain.config.beats


def test_weights_of_the_loss_are_positive():
  with pytest.raises(ValueError, match="beat_weight=0: expected more than 0"):
    of_beats(beat_weight=0)
