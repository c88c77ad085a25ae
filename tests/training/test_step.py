import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fake_data import FakeBatches, fake_data, tiny_config

from configs import demo, slakh
from stemgen_jax.model import CONDITION_SIZES
from stemgen_jax.model.sharding import make_mesh, place_batch
from stemgen_jax.training.config import DropConfig, MaskConfig, from_dict
from stemgen_jax.training.masking import RATIO_BINS, training_mask
from stemgen_jax.training.metrics import summarize
from stemgen_jax.training.optimizer import (
  OptimizerConfig,
  learning_rate,
  make_optimizer,
)
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import (
  cross_entropy,
  init_state,
  make_gradient,
  make_train_step,
  score,
  views,
)


def resolved(**changes):
  return resolve(tiny_config(**changes), fake_data())


COMPILED = {}


def once(function, config):
  """Compiled once for all tests of one configuration and mesh."""
  name = function, repr(config), jax.sharding.get_mesh()
  return COMPILED.setdefault(name, function(config))


def initial(config):
  return jax.jit(lambda key, books: init_state(config, key, books))


def fresh(config):
  return once(initial, config)(jax.random.key(0), fake_data().codebooks)


def train_step(config) -> Any:
  return once(make_train_step, config)


def named(tree):
  """Leaves by their path, as "blocks/query/kernel"."""
  return {
    # Copied: a view would keep the buffer from being donated.
    jax.tree_util.keystr(path, simple=True, separator="/"): np.array(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


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


def test_muon_steps_are_orthogonal():
  config = resolved()
  config.optimizer = dataclasses.replace(
    config.optimizer, kind="muon", weight_decay=0.0, warmup_steps=0
  )
  state = fresh(config)
  before = named(state["params"])
  state, metrics = train_step(config)(
    state, next(FakeBatches(config)), jax.random.key(1)
  )
  taken = {name: x - before[name] for name, x in named(state["params"]).items()}
  rate = float(metrics["learning_rate"])
  heads = taken["blocks/query/kernel"].shape[2]
  for name, matrix in {
    "down": taken["blocks/down/kernel"][0],
    "up": taken["blocks/up/kernel"][0][:, 0],
    "out": taken["blocks/out/kernel"][0],
    **{
      f"query {head}": taken["blocks/query/kernel"][0][:, head]
      for head in range(heads)
    },
  }.items():
    matrix = matrix.reshape(-1, matrix.shape[-1])
    # As large as AdamW's, in all directions alike.
    np.testing.assert_allclose(
      np.sqrt((matrix**2).mean()) / rate, 0.2, rtol=0.35, err_msg=name
    )
    values = np.linalg.svd(matrix, compute_uv=False)
    # Except in directions with hardly any gradient. (AdamW: 0.2.)
    assert np.quantile(values, 0.25) > 0.5 * values.max(), name
  assert not taken["embedding/codebooks"].any()


def test_muon_decays_and_freezes_what_adamw_does():
  def after(kind):
    config = resolved().optimizer
    config = dataclasses.replace(
      config, kind=kind, weight_decay=0.1, warmup_steps=0, frozen=("blocks/up",)
    )
    params = fresh(resolved())["params"]
    optimizer = make_optimizer(config)
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    return {name for name, x in named(updates).items() if x.any()}

  moved = after("muon")
  assert moved == after("adamw")
  assert {"head", "blocks/query/kernel", "blocks/down/kernel"} <= moved
  assert not {"blocks/up/kernel", "norm/scale"} & moved


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


def test_every_condition_has_its_own_share():
  assert set(vars(DropConfig())) == set(CONDITION_SIZES)


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


def test_learning_rate_rises_holds_and_decays():
  rate = learning_rate(
    OptimizerConfig(
      learning_rate=1.0,
      warmup_steps=10,
      hold_steps=20,
      decay_steps=100,
      final_ratio=0.01,
    )
  )
  values = [
    np.asarray(rate(step)).item() for step in (0, 5, 10, 30, 80, 130, 1000)
  ]
  assert values == pytest.approx([0, 0.5, 1, 1, 0.1, 0.01, 0.01], rel=1e-3)


def test_learning_rate_is_optax_s_where_nothing_is_held():
  config = OptimizerConfig(
    learning_rate=3e-4,
    warmup_steps=7,
    hold_steps=0,
    decay_steps=50,
    final_ratio=0.05,
  )
  theirs = optax.warmup_exponential_decay_schedule(
    0.0, 3e-4, 7, 50, 0.05, end_value=0.05 * 3e-4
  )
  ours, steps = learning_rate(config), range(0, 80, 3)
  np.testing.assert_allclose(
    np.array([ours(step) for step in steps]),
    np.array([theirs(step) for step in steps]),
    rtol=1e-5,
  )


def test_the_papers_learning_rate():
  rate = learning_rate(slakh.get_config().optimizer)
  values = [float(np.asarray(rate(step))) for step in (5_000, 10_000, 60_000)]
  assert values == pytest.approx([2.5e-4, 5e-4, 5e-4], rel=1e-4)
  assert float(np.asarray(rate(61_000))) < 5e-4


DECAYED = {
  "blocks/query/kernel",
  "blocks/key/kernel",
  "blocks/value/kernel",
  "blocks/out/kernel",
  "blocks/up/kernel",
  "blocks/down/kernel",
  "head",
}


def test_weight_decay_is_on_kernels_alone():
  config = tiny_config()
  config.model.qk_norm = True
  config = resolve(config, fake_data())
  params = fresh(config)["params"]
  optimizer = make_optimizer(
    OptimizerConfig(learning_rate=1.0, warmup_steps=0, weight_decay=0.1)
  )

  @jax.jit
  def updates_of_nothing(params):
    nothing = jax.tree.map(jnp.zeros_like, params)
    return optimizer.update(nothing, optimizer.init(params), params)[0]

  updates = updates_of_nothing(params)
  moved = {name: x for name, x in named(updates).items() if x.any()}
  # No norm, embedding, mask or null is among them.
  assert moved.keys() == DECAYED
  for name, x in moved.items():
    np.testing.assert_allclose(x, -0.1 * named(params)[name], rtol=1e-5)


def test_gradients_are_clipped_by_their_global_norm():
  params = {"kernel": jnp.zeros(3), "norm": jnp.zeros(1)}
  config = OptimizerConfig(clip_norm=2.0, warmup_steps=0)
  optimizer = make_optimizer(config)

  @jax.jit
  def moments(scale):
    gradient = {
      "kernel": scale * jnp.array([1.0, 2.0, 2.0]),
      "norm": scale * jnp.array([4.0]),
    }
    return optimizer.update(gradient, optimizer.init(params), params)[1]

  def moment(scale):
    found = named(moments(scale))
    return {
      name: next(x for path, x in found.items() if path.endswith(f"mu/{name}"))
      for name in params
    }

  # Gradients of norm 5 and 500: both clipped to 2, times 1 - beta1.
  for scale in (1.0, 100.0):
    clipped = moment(scale)
    norm = np.sqrt(sum((x**2).sum() for x in clipped.values()))
    assert norm == pytest.approx(2.0 * (1 - config.beta1), rel=1e-4)
  small = moment(0.1)
  np.testing.assert_allclose(
    small["kernel"], (1 - config.beta1) * np.array([0.1, 0.2, 0.2]), rtol=1e-4
  )


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


def test_runs_of_frames_are_a_fifth_of_the_demo_and_none_of_the_papers():
  def shares(config):
    return config.mask.span_share + config.mask.prefix_share

  assert shares(demo.get_config()) == pytest.approx(0.2)
  assert shares(slakh.get_config()) == 0


def test_missing_fields_of_an_older_run_get_defaults():
  saved = dataclasses.asdict(resolved(condition_drop=0.3))
  del saved["accumulate"], saved["drop"], saved["mask"]["complementary"]
  assert from_dict(saved) == resolved(condition_drop=0.3)
  with pytest.raises(ValueError, match="moods"):
    from_dict(saved | {"moods": 1})


@pytest.mark.parametrize(
  ("path", "value"),
  [
    ("steps", 0),
    ("context_drop", 1.0),
    ("accumulate", 0),
    ("accumulate", 3),
    ("drop.genre", 1.0),
    ("ema_decay", -0.1),
    ("optimizer.learning_rate", 0.0),
    ("optimizer.final_ratio", 0.0),
    ("optimizer.frozen", ("(",)),
    ("mask.span_share", 1.5),
    ("mask.level_weights", (1.0,)),
    ("model.depth", 0),
  ],
)
def test_invalid_configurations_are_refused(path, value):
  config = tiny_config()
  config.model.latent = 3
  node = config
  *parents, name = path.split(".")
  for parent in parents:
    node = getattr(node, parent)
  setattr(node, name, value)
  with pytest.raises(ValueError, match=path):
    config.validate()
