"""Training of a model that predicts the scales of segments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_data import fake_data, tiny_config

from stemgen_jax.model import ModelConfig
from stemgen_jax.model.config import SCALE_TOKENS, SCALES
from stemgen_jax.training.config import MaskConfig
from stemgen_jax.training.masking import training_mask
from stemgen_jax.training.metrics import summarize
from stemgen_jax.training.optimizer import OptimizerConfig
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import (
  init_state,
  make_train_step,
  make_validation_step,
)

LEVELS, SEGMENT = 2, 2
KEY = jax.random.key(0)
DATA = fake_data(codes=SCALE_TOKENS, segment_frames=SEGMENT)


def of_scales(share, **changes):
  model = ModelConfig(
    width=32,
    depth=1,
    heads=2,
    mlp=16,
    window=8,
    remat="none",
    scale_frames=SEGMENT,
  )
  mask = MaskConfig(scale_share=share, span_share=0.2, prefix_share=0.2)
  config = tiny_config(model=model, mask=mask, batch=64, **changes)
  return resolve(config, DATA)


def a_batch(rng, b, *, follows):
  """The scale of a segment of the target is a function of the context's."""
  codes = rng.integers(0, SCALE_TOKENS, (2, b, 8, LEVELS))
  context = rng.integers(0, SCALE_TOKENS, (b, 8 // SEGMENT))
  target = (context + 7) % SCALE_TOKENS
  if not follows:
    target = rng.permuted(target, axis=0)
  columns = [
    np.concatenate([x, scales.repeat(SEGMENT, 1)[..., None]], -1)
    for x, scales in zip(codes, (context, target))
  ]
  context, target = np.array(columns, np.int32)
  return {
    "context": context,
    "target": target,
    "category": rng.integers(0, 3, b).astype(np.int32),
  }


def initial(config):
  return jax.jit(lambda key: init_state(config, key, None))(KEY)


def test_a_window_that_is_too_long_is_refused_with_one_of_whole_segments():
  model = ModelConfig(width=32, heads=2, window=16, scale_frames=8)
  data = fake_data(codes=SCALE_TOKENS, segment_frames=8)  # of 12 frames
  with pytest.raises(ValueError, match=r"give --config.model.window=8 or less"):
    resolve(tiny_config(model=model), data)


def test_masks_of_scales_are_whole_segments_with_all_codes_masked():
  batch = a_batch(np.random.default_rng(0), 600, follows=True)
  target, mask_id = jnp.array(batch["target"]), 99

  def draw(**options):
    return jax.device_get(
      training_mask(
        jax.random.key(1), target, mask_id, scale_frames=SEGMENT, **options
      )
    )

  shown, masked, levels = draw(scale_share=0.3, span_share=0.2)
  scales = levels == SCALES
  assert scales.mean() == pytest.approx(0.3, abs=0.06)
  assert set(levels) == {SCALES, 0, 1}
  hidden = shown == mask_id
  assert (hidden[scales][..., :SCALES]).all()
  np.testing.assert_array_equal(hidden[scales][..., SCALES], masked[scales])
  of_segments = masked[scales].reshape(-1, 4, SEGMENT)
  assert (of_segments == of_segments[..., :1]).all()
  counts = np.bincount(of_segments[..., 0].sum(1), minlength=5)
  assert counts[0] == 0
  assert (counts[1:] > 10).all()
  # While codes are predicted, scales are known.
  np.testing.assert_array_equal(
    shown[~scales][..., SCALES], batch["target"][~scales][..., SCALES]
  )
  # The other draws are those of a model without scales.
  plain, _, _ = jax.device_get(
    training_mask(
      jax.random.key(1), target[..., :SCALES], mask_id, span_share=0.2
    )
  )
  np.testing.assert_array_equal(shown[~scales][..., :SCALES], plain[~scales])


def test_scales_are_learned_from_the_context():
  optimizer = OptimizerConfig(
    learning_rate=2e-2, warmup_steps=10, hold_steps=1000
  )
  config = of_scales(0.9, optimizer=optimizer, context_drop=0.0)
  step = make_train_step(config)
  found, last = {}, []
  for follows in (True, False):
    rng = np.random.default_rng(1)
    state, last = initial(config), []  # of the last steps
    for _ in range(120):
      batch = a_batch(rng, config.batch, follows=follows)
      state, metrics = step(state, batch, jax.random.key(2))
      last = [*last[-9:], metrics]
    found[follows] = summarize(last)
  uniform = np.log(SCALE_TOKENS)
  assert found[True]["scale_loss"] < 0.25 * uniform
  assert found[True]["scale_accuracy"] > 0.8
  # Where there is no relation, nothing is better than the uniform guess.
  assert found[False]["scale_loss"] > 0.97 * uniform
  assert found[False]["scale_accuracy"] < 0.05
  for figures in found.values():
    # Reported apart: codes are noise.
    assert len(figures["loss_per_level"]) == LEVELS
    assert min(figures["loss_per_level"]) > 0.97 * uniform
  # The loss is the mean over all masked frames, of which scales have some.
  sums = jax.device_get(last[-1])
  assert sums["ratio_tokens"].sum() == sums["level_tokens"].sum()
  assert sums["scale_tokens"][0] % SEGMENT == 0
  counted = sums["level_tokens"].sum() + sums["scale_tokens"].sum()
  total = sums["level_loss"].sum() + sums["scale_loss"].sum()
  assert sums["loss"] == pytest.approx(total / counted)


def test_validation_reports_the_scales():
  config = of_scales(0.5)
  state = jax.eval_shape(lambda key: init_state(config, key, None), KEY)
  sums = jax.eval_shape(
    make_validation_step(config),
    state["ema"],
    a_batch(np.random.default_rng(0), 8, follows=True),
    KEY,
  )
  assert sums["scale_loss"].shape == (1,)
  assert sums["level_loss"].shape == (LEVELS,)
  figures = summarize([jax.tree.map(lambda x: np.ones(x.shape), sums)])
  assert figures["scale_loss"] == figures["scale_accuracy"] == 1
