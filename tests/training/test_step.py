from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config

from stemgen_jax.masking import training_mask
from stemgen_jax.training import trainer
from stemgen_jax.training.optimizer import OptimizerConfig, learning_rate
from stemgen_jax.training.step import (
  cross_entropy,
  init_state,
  make_train_step,
)


def test_cross_entropy_is_minus_the_log_probability():
  logits = jax.random.normal(jax.random.key(0), (2, 3, 5))
  codes = jnp.array([[0, 1, 4], [2, 2, 3]])
  expected = -jnp.take_along_axis(
    jax.nn.log_softmax(logits), codes[..., None], -1
  )[..., 0]
  np.testing.assert_allclose(cross_entropy(logits, codes), expected, rtol=1e-5)


def test_steps_compile_once_and_touch_only_what_may_change():
  config = tiny_config()
  config.optimizer.frozen = ("blocks/query",)
  config = trainer.resolve(config, fake_data())
  state = jax.jit(lambda key, books: init_state(config, key, books))(
    jax.random.key(0), fake_data().codebooks
  )
  before = jax.device_get(state["params"])
  step: Any = make_train_step(config)
  batches = FakeBatches(config)
  for _ in range(3):
    state, _ = step(state, next(batches), jax.random.key(1))
  assert step._cache_size() == 1
  changed = jax.tree.map(
    lambda x, y: bool((x != y).any()), before, jax.device_get(state["params"])
  )
  still = {
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, moved in jax.tree_util.tree_leaves_with_path(changed)
    if not moved
  }
  assert still == {"embedding/codebooks", "blocks/query/kernel"}


def test_the_loss_counts_masked_tokens_of_the_active_level_alone():
  config = trainer.resolve(tiny_config(batch=4), fake_data())
  state = jax.jit(lambda key: init_state(config, key, None))(jax.random.key(0))
  batch = next(FakeBatches(config))
  key = jax.random.key(3)
  _, metrics = make_train_step(config)(state, batch, key)
  # The step's own mask, drawn again.
  mask_key = jax.random.split(jax.random.fold_in(key, 0), 3)[0]
  _, masked, level = training_mask(
    mask_key,
    batch["target"],
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


@pytest.mark.parametrize(
  ("path", "value"),
  [
    ("steps", 0),
    ("context_drop", 1.0),
    ("ema_decay", -0.1),
    ("optimizer.learning_rate", 0.0),
    ("optimizer.final_ratio", 0.0),
    ("optimizer.frozen", ("(",)),
    ("mask.span_share", 1.5),
    ("mask.level_weights", (1.0,)),
    ("model.depth", 0),
  ],
)
def test_impossible_runs_are_named(path, value):
  config = tiny_config()
  config.model.latent = 3
  node = config
  *parents, name = path.split(".")
  for parent in parents:
    node = getattr(node, parent)
  setattr(node, name, value)
  with pytest.raises(ValueError, match=path):
    config.validate()
