"""Scales as tokens, and the model that reads and predicts them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scaled_model import TOKENS

from stemgen_jax import model
from stemgen_jax.model import scales
from stemgen_jax.model.config import SCALE_TOKENS, SCALES
from stemgen_jax.model.shapes import param_shapes
from stemgen_jax.model.sharding import make_mesh, place_batch

CONFIG = dataclasses.replace(TOKENS, window=12)


def drawn():
  return model.init_params(CONFIG, jax.random.key(1))


def test_the_error_of_a_scale_is_half_a_decibel():
  db = np.linspace(-62.5, 0.5, 20_001)
  tokens = scales.quantize(10 ** (db / 20))
  assert set(tokens) == set(range(SCALE_TOKENS - 1))
  error = 20 * np.log10(scales.dequantize(tokens)) - db
  assert np.abs(error).max() <= 0.5 + 1e-5
  every = np.arange(SCALE_TOKENS)
  assert (scales.quantize(scales.dequantize(every)) == every).all()


def test_silence_stays_silent_and_loud_segments_are_limited():
  below = 10 ** (-62.6 / 20)
  tokens = scales.quantize(np.array([0.0, 1e-30, below, 1.0, 4.0], np.float32))
  assert scales.dequantize(tokens).tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("frames", [12, 10])
def test_columns_split_into_what_was_joined(frames):
  codes = np.random.default_rng(0).integers(0, 70, (3, frames, 2))
  rms = scales.dequantize(np.array([[3, 63, 20]] * 3))
  columns = scales.join(codes, rms, 4)
  assert columns.shape == (3, frames, 3)
  assert (columns[:, :4, -1] == 3).all()
  assert (columns[:, 8:, -1] == 20).all()
  again, found = scales.split(columns, 4)
  np.testing.assert_array_equal(again, codes)
  np.testing.assert_array_equal(found, rms)


@pytest.mark.parametrize(
  ("wrong", "reason"),
  [
    ({"window": 10}, "window is 10 frames"),
    ({"scale_frames": -4}, "scale_frames=-4"),
    ({"codes": 63}, "at least the 64 tokens"),
    ({"context": "spectrum"}, "'spectrum'"),
    ({"future": True}, "model.future True"),
  ],
)
def test_shapes_that_cannot_have_scales_are_refused(wrong, reason):
  CONFIG.validate()
  with pytest.raises(ValueError, match=reason):
    dataclasses.replace(CONFIG, **wrong).validate()


def test_scales_add_two_parameters():
  params = jax.eval_shape(drawn)
  shapes = {
    jax.tree_util.keystr(path, simple=True, separator="/"): x.shape
    for path, x in jax.tree.leaves_with_path(params)
  }
  assert shapes == param_shapes(CONFIG)
  without = param_shapes(dataclasses.replace(CONFIG, scale_frames=0))
  assert shapes.keys() - without == {"embedding/scales", "scale_head/kernel"}


def test_logits_of_scales_are_those_of_a_segment():
  params = jax.jit(drawn)()
  rng = np.random.default_rng(0)
  context = rng.integers(0, 64, (2, 12, 3))
  target = np.full((2, 12, 3), CONFIG.codes)
  given = {"category": jnp.array([3, 4])}
  valid = jnp.arange(12)[None] < jnp.array([[12], [6]])

  @jax.jit
  def predict(context, target, level):
    return model.apply(
      CONFIG, params, context, target, given, level, valid=valid
    )

  both = predict(context, target, jnp.array([SCALES, 1]))
  alone = predict(context, target, SCALES)
  np.testing.assert_allclose(both[0], alone[0], atol=1e-5)
  np.testing.assert_allclose(both[1], predict(context, target, 1)[1], atol=1e-5)
  by_segment = np.asarray(alone).reshape(2, 3, 4, CONFIG.codes)
  np.testing.assert_array_equal(by_segment[:, :, :1].repeat(4, 2), by_segment)
  assert (by_segment[..., SCALE_TOKENS:] < -1e29).all()
  assert np.isfinite(by_segment).all()
  # Padding within a segment does not count; nor do codes of padding.
  padded = context.copy()
  padded[1, 6:] = 0
  np.testing.assert_allclose(
    predict(padded, target, SCALES)[1, :6], alone[1, :6], atol=1e-5
  )
  # Tokens of the context and of the target both matter, to every level.
  for level in (SCALES, 0):
    for place in range(2):
      changed = [context.copy(), target.copy()]
      changed[place][:, 4:8, SCALES] = 11
      other = predict(*changed, level)
      assert np.abs(other - predict(context, target, level))[0].max() > 1e-4


def test_a_mesh_gives_the_same_logits_and_gradients():
  rng = np.random.default_rng(0)
  params = jax.jit(drawn)()
  batch = {
    "context": rng.integers(0, 64, (8, 12, 3)),
    "target": rng.integers(0, 64, (8, 12, 3)),
    "category": np.arange(8),
    "level": np.array([SCALES, 0, 1, SCALES] * 2),
  }
  batch = {name: x.astype(np.int32) for name, x in batch.items()}

  def total(params, batch):
    logits = model.apply(
      CONFIG,
      params,
      batch["context"],
      batch["target"],
      {"category": batch["category"]},
      batch["level"],
    )
    return jax.nn.logsumexp(logits, axis=-1).mean()

  alone = jax.jit(jax.value_and_grad(total))(params, batch)
  with jax.set_mesh(make_mesh(4, 2)):
    split = jax.jit(jax.value_and_grad(total))(
      jax.jit(drawn)(), place_batch(batch)
    )
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
    jax.device_get(split),
    jax.device_get(alone),
  )
  slope = alone[1]["embedding"]["scales"]
  assert (np.abs(slope[:SCALE_TOKENS]).max(1) > 0).mean() > 0.5
