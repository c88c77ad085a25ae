"""Tests of the training step: masks, loss, gradients and average."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_data import FakeBatches
from steps import fresh, named, once, resolved, train_step

from stemgen_jax.model import CONDITION_SIZES
from stemgen_jax.model.sharding import make_mesh, place_batch
from stemgen_jax.training.config import DropConfig, MaskConfig
from stemgen_jax.training.masking import RATIO_BINS, training_mask
from stemgen_jax.training.metrics import summarize
from stemgen_jax.training.scores import cross_entropy, score
from stemgen_jax.training.step import make_gradient, views


def test_cross_entropy_is_minus_the_log_probability():
  logits = jax.random.normal(jax.random.key(0), (2, 3, 5))
  codes = jnp.array([[0, 1, 4], [2, 2, 3]])
  expected = -jnp.take_along_axis(
    jax.nn.log_softmax(logits), codes[..., None], -1
  )[..., 0]
  np.testing.assert_allclose(cross_entropy(logits, codes), expected, rtol=1e-5)


def test_steps_compile_once_and_keep_frozen_parameters():
  config = resolved()
  config.optimizer.frozen = ("blocks/query",)
  state = fresh(config)
  before = named(state["params"])
  step = train_step(config)
  batches = FakeBatches(config)
  for _ in range(3):
    old = state
    state, _ = step(old, next(batches), jax.random.key(1))
    # Donated: two states would not fit where one just does.
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(old))
  assert step._cache_size() == 1
  after = named(state["params"])
  still = {name for name, x in before.items() if (x == after[name]).all()}
  assert still == {"embedding/codebooks", "blocks/query/kernel"}


def test_no_tracer_leaks():
  config = resolved()
  with jax.checking_leaks():
    train_step(config)(
      fresh(config), next(FakeBatches(config)), jax.random.key(0)
    )


def drawn(config, batch, key):
  """`views`, fetched."""
  jitted = jax.jit(lambda batch, key: views(config, batch, key))
  return jax.device_get(jitted(batch, key))


def jitted_gradient(config):
  return jax.jit(
    lambda params, batch, key: make_gradient(config)(
      params, views(config, batch, key)
    )
  )


def gradient_of(config, batch, key):
  return once(jitted_gradient, config)(fresh(config)["params"], batch, key)


def test_accumulated_gradient_equals_that_of_the_whole_batch():
  batch = next(FakeBatches(resolved()))
  key = jax.random.key(5)
  whole = gradient_of(resolved(), batch, key)
  parts = gradient_of(resolved(accumulate=4), batch, key)
  assert int(whole[0][1]["level_tokens"].sum()) > 8
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
    whole,
    parts,
  )


def test_accumulation_and_complementary_masks_on_a_mesh():
  config = resolved(accumulate=2, mask=MaskConfig(complementary=True))
  batch, key = next(FakeBatches(config)), jax.random.key(5)
  alone, expected = train_step(config)(fresh(config), batch, key)
  with jax.set_mesh(make_mesh(4, 2)):
    step = train_step(config)
    state, metrics = step(fresh(config), place_batch(batch), key)
    split = named(jax.device_get(state["opt"]))
    step(state, place_batch(batch), key)
    assert step._cache_size() == 1
  for name, value in expected.items():
    np.testing.assert_allclose(metrics[name], value, rtol=1e-3, err_msg=name)
  # The gradients' moments: at the first step the learning rate is still 0.
  for name, value in named(alone["opt"]).items():
    np.testing.assert_allclose(split[name], value, rtol=1e-3, atol=1e-6)


def test_complementary_masks_cover_every_token_of_the_level_once():
  mask = MaskConfig(complementary=True, span_share=0.3, prefix_share=0.3)
  config = resolved(mask=mask, accumulate=2)
  batch = next(FakeBatches(config))
  passes = drawn(config, batch, jax.random.key(2))
  b, t = config.batch, config.model.window
  assert passes["masked"].shape == (4, b // 2, t)
  one, other = passes["masked"][:2], passes["masked"][2:]
  assert ((one + other) == 1).all()
  for name in ("context", "target", "level", "drop_context"):
    np.testing.assert_array_equal(passes[name][:2], passes[name][2:])
  # At the active level exactly the masked frames are MASK.
  for i in np.ndindex(4, b // 2):
    level = passes["level"][i]
    shown = passes["masked_target"][i]
    np.testing.assert_array_equal(
      shown[:, level] == config.model.codes, passes["masked"][i]
    )
    np.testing.assert_array_equal(
      shown[:, :level], passes["target"][i][:, :level]
    )
    assert (shown[:, level + 1 :] == config.model.codes).all()
  # Passes interleave the rows of the batch.
  np.testing.assert_array_equal(passes["target"][1, 0], batch["target"][1])
  (_, sums), _ = gradient_of(config, batch, jax.random.key(2))
  assert int(sums["level_tokens"].sum()) == b * t


def test_conditions_are_dropped_independently_with_their_shares():
  config = resolved(
    batch=4000, condition_drop=0.1, drop=DropConfig(genre=0.5, role=0.0)
  )
  config.model.conditions = ("category", "genre", "role")
  batch = next(FakeBatches(config))
  view = drawn(config, batch, jax.random.key(0))
  dropped = {
    name: view["conditions"][name][0] == CONDITION_SIZES[name]
    for name in config.model.conditions
  } | {"context": view["drop_context"][0]}
  for name, share in (
    ("category", 0.1),
    ("genre", 0.5),
    ("role", 0.0),
    ("context", 0.2),
  ):
    assert dropped[name].mean() == pytest.approx(share, abs=0.03), name
  together = dropped["genre"] & dropped["context"]
  assert together.mean() == pytest.approx(0.5 * 0.2, abs=0.02)


def test_the_loss_counts_masked_tokens_of_the_active_level_alone():
  config = resolved()
  batch = next(FakeBatches(config))
  key = jax.random.key(3)
  _, metrics = train_step(config)(fresh(config), batch, key)
  # The step's own mask, drawn again.
  mask_key = jax.random.split(jax.random.fold_in(key, 0), 3)[0]
  _, masked, level = training_mask(
    mask_key,
    jnp.asarray(batch["target"]),
    config.model.codes,
    span_share=config.mask.span_share,
    prefix_share=config.mask.prefix_share,
    hidden_share=config.mask.hidden_share,
  )
  expected = [int(masked[level == q].sum()) for q in range(2)]
  assert metrics["level_tokens"].tolist() == expected
  assert float(metrics["loss"]) == pytest.approx(
    float(metrics["level_loss"].sum()) / sum(expected)
  )
  assert float(metrics["loss"]) == pytest.approx(np.log(8), abs=0.1)


def test_no_gradient_comes_from_an_unmasked_token_or_another_level():
  b, t, v = 3, 4, 8
  logits = jax.random.normal(jax.random.key(0), (b, t, v))
  target = jax.random.randint(jax.random.key(1), (b, t, 2), 0, v)
  masked = jnp.array([[1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 1, 0]], bool)
  level = jnp.array([0, 1, 1])

  @jax.jit
  @jax.value_and_grad
  def scored(logits, target):
    return score(logits, target, masked, level)["level_loss"].sum()

  def loss(logits, target):
    return scored(logits, target)[0]

  plain, slope = scored(logits, target)
  assert (slope[~masked] == 0).all()
  assert (jnp.abs(slope[masked]).max(-1) > 0).all()
  # Codes of the other level, and of unmasked frames, do not count.
  counts = masked[..., None] & (
    jnp.arange(2)[None, None] == level[:, None, None]
  )
  other = jnp.where(counts, target, (target + 1) % v)
  assert loss(logits, other) == plain
  assert loss(logits, (target + 1) % v) != plain


def test_sums_and_figures_per_mask_ratio():
  t, q, v = 20, 2, 8
  counts = np.array([1, 3, 4, 6, 10, 15, 16, 20])
  bins = [0, 0, 1, 1, 2, 3, 4, 4]  # up to 15, 30, 50, 75, 100 %
  b = len(counts)
  masked = jnp.arange(t)[None] < counts[:, None]
  target = jax.random.randint(jax.random.key(0), (b, t, q), 0, v)
  level = jnp.arange(b) % q
  codes = target[jnp.arange(b), :, level]
  sure = 50.0 * jax.nn.one_hot(codes, v)
  wrong = jnp.roll(sure, 1, axis=-1)
  known = jnp.arange(b)[:, None, None] < 4
  sums = jax.jit(score)(jnp.where(known, sure, wrong), target, masked, level)
  expected = np.bincount(bins, counts, len(RATIO_BINS))
  assert sums["ratio_tokens"].tolist() == expected.tolist()
  assert sums["ratio_correct"].tolist() == [4, 10, 0, 0, 0]
  figures = summarize([sums, sums])
  assert figures["accuracy_per_ratio"] == [1, 1, 0, 0, 0]
  assert figures["loss_per_ratio"] == pytest.approx([0, 0, 50, 50, 50])
  assert sum(sums["level_tokens"]) == counts.sum()


def test_the_average_follows_the_parameters():
  config = resolved()
  state, step = fresh(config), train_step(config)
  batches = FakeBatches(config)
  average = named(state["params"])
  for number in range(3):
    state, _ = step(state, next(batches), jax.random.key(1))
    decay = min(config.ema_decay, (1 + number) / (10 + number))
    average = {
      name: decay * average[name] + (1 - decay) * x
      for name, x in named(state["params"]).items()
    }
  for name, x in named(state["ema"]).items():
    np.testing.assert_allclose(x, average[name], rtol=1e-4, atol=1e-6)


def test_in_bfloat16_state_and_loss_stay_float32():
  exact, rough = resolved(), resolved()
  rough.model.dtype = "bfloat16"
  batch, key = next(FakeBatches(exact)), jax.random.key(1)
  _, expected = train_step(exact)(fresh(exact), batch, key)
  step = train_step(rough)
  assert "bf16" in step.lower(fresh(rough), batch, key).as_text()
  state, metrics = step(fresh(rough), batch, key)
  kinds = {x.dtype.name for x in jax.tree.leaves(state["params"])}
  kinds |= {x.dtype.name for x in jax.tree.leaves(state["ema"])}
  assert kinds == {"float32"}
  assert metrics["loss"].dtype == jnp.float32
  assert float(metrics["loss"]) == pytest.approx(
    float(expected["loss"]), rel=0.01
  )
  assert float(metrics["gradient_norm"]) == pytest.approx(
    float(expected["gradient_norm"]), rel=0.1
  )
