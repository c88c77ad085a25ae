import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import slakh
from stemgen_jax.model import (
  CONDITION_SIZES,
  ModelConfig,
  apply,
  init_params,
)
from stemgen_jax.model.sharding import make_mesh
from stemgen_jax.training.masking import training_mask

B, T, Q, V = 4, 12, 3, 32
SMALL = ModelConfig(
  levels=Q,
  codes=V,
  width=32,
  depth=2,
  heads=4,
  mlp=48,
  window=T,
  embedding="codebook",
  latent=6,
  remat="none",
)


def small(**changes):
  return dataclasses.replace(SMALL, **changes)


@functools.cache
def inputs(b=B, t=T):
  rng = np.random.default_rng(0)
  context, target = rng.integers(0, V, (2, b, t, Q))
  category = rng.integers(0, CONDITION_SIZES["category"], b)
  return jnp.asarray(context), jnp.asarray(target), jnp.asarray(category)


def lively_params(config=SMALL):
  """Return parameters with a large head, so that dependencies show."""
  return _once("params", config)()


def logits(config, params, level, context=None, target=None, **options):
  the_context, the_target, category = inputs()
  return _once("logits", config)(
    params,
    the_context if context is None else context,
    the_target if target is None else target,
    options.pop("conditions", {"category": category}),
    level,
    **options,
  )


COMPILED = {}


def _once(what, config):
  """Compile once for all tests."""

  def params():
    params = init_params(config, jax.random.key(0))
    return params | {"head": 10 * params["head"]}

  functions = {"params": params, "logits": functools.partial(apply, config)}
  name = (what, repr(config), jax.sharding.get_mesh())
  return COMPILED.setdefault(name, jax.jit(functions[what]))


@pytest.mark.parametrize("embedding", ["table", "codebook"])
def test_untrained_loss_is_ln_v_at_every_level(embedding):
  config = small(embedding=embedding, codes=256)
  params = lively_params(config)
  params = params | {"head": params["head"] / 10}
  _, target, _ = inputs()
  masked = jnp.full_like(target, config.codes)
  for level in range(Q):
    out = logits(config, params, level, target=masked)
    assert out.dtype == jnp.float32
    loss = -jnp.take_along_axis(
      jax.nn.log_softmax(out), target[..., level, None], -1
    ).mean()
    assert float(loss) == pytest.approx(np.log(256), abs=0.05)


def test_level_scalar_traced_or_per_example_is_the_same():
  params = lively_params()
  each = jnp.array([0, 1, 2, 1])
  together = logits(SMALL, params, each)
  for i, level in enumerate(each):
    alone = logits(SMALL, params, int(level))
    np.testing.assert_allclose(together[i], alone[i], atol=1e-5)
    traced = logits(SMALL, params, level)
    np.testing.assert_array_equal(traced, alone)


@pytest.mark.parametrize("attention", ["map", "dot_product"])
def test_every_context_token_changes_the_logits_of_every_frame(attention):
  config, params = small(attention=attention), lively_params()
  context, _, _ = inputs()
  before = logits(config, params, 1)
  for frame in (0, T // 2, T - 1):
    for level in range(Q):
      code = context[0, frame, level]
      other = context.at[0, frame, level].set((code + 1) % V)
      after = logits(config, params, 1, context=other)
      assert (jnp.abs(after - before)[0].max(-1) > 0).all()
      np.testing.assert_array_equal(after[1:], before[1:])


@pytest.mark.parametrize("level", range(Q))
@pytest.mark.parametrize("form", ["scattered", "span", "prefix"])
def test_hidden_tokens_change_no_logit(level, form):
  """Masked tokens of the active level and finer levels have no effect."""
  spans, prefixes = float(form == "span"), float(form == "prefix")
  _, target, _ = inputs()

  def masked_of(target):
    key = jax.random.key(level)
    return training_mask(
      key, target, V, level=level, span_share=spans, prefix_share=prefixes
    )[:2]

  shown, masked = masked_of(target)
  assert masked.any(1).all()
  assert not masked.all()
  levels_of = jnp.arange(Q)[None, None]
  hidden = (levels_of > level) | ((levels_of == level) & masked[..., None])
  other, _ = masked_of(jnp.where(hidden, (target + 1) % V, target))
  params = lively_params()
  before = logits(SMALL, params, level, target=shown)
  np.testing.assert_array_equal(
    logits(SMALL, params, level, target=other), before
  )
  # All visible tokens have an effect.
  for i in range(B):
    for frame, q in np.argwhere(~np.asarray(hidden[i]))[:: 1 + T // 4]:
      change = shown.at[i, frame, q].set((shown[i, frame, q] + 1) % V)
      after = logits(SMALL, params, level, target=change)
      assert (jnp.abs(after - before)[i].max(-1) > 0).all()


@pytest.mark.parametrize("level", range(Q))
def test_gradients_come_from_context_and_visible_tokens_alone(level):
  """Context, visible and hidden tokens use different codes."""
  config = small(embedding="table")
  rng = np.random.default_rng(level)
  context = jnp.asarray(rng.integers(0, 10, (B, T, Q)))
  target = jnp.asarray(rng.integers(10, 20, (B, T, Q)))
  _, _, category = inputs()
  shown, masked, levels = training_mask(
    jax.random.key(0), target, V, level=level
  )
  levels_of = jnp.arange(Q)[None, None]
  hidden = (levels_of > level) | ((levels_of == level) & masked[..., None])
  target = jnp.where(hidden, target + 10, target)
  shown, _, _ = training_mask(jax.random.key(0), target, V, level=level)

  def total(params):
    out = apply(config, params, context, shown, {"category": category}, levels)
    return jnp.square(out).sum()

  gradient = jax.jit(jax.grad(total))(lively_params(config))
  assert (jnp.abs(gradient["head"][level]).max() > 0).all()
  others = jnp.array([q for q in range(Q) if q != level])
  assert (gradient["head"][others] == 0).all()
  for q in range(Q):
    slope = jnp.abs(gradient["embedding"]["table"][q]).max(-1)
    present = np.unique(context[..., q])
    seen = np.unique(shown[..., q])
    assert (slope[present] > 0).all()
    assert (slope[seen[seen < V]] > 0).all()
    assert (slope[20:] == 0).all()
    mask = jnp.abs(gradient["embedding"]["mask"][q]).max()
    assert (mask > 0) == (q >= level)


def test_the_codecs_vectors_are_not_trained():
  params = lively_params()
  context, target, category = inputs()

  def total(params):
    out = apply(SMALL, params, context, target, {"category": category}, 1)
    return jnp.square(out).sum()

  gradient = jax.jit(jax.grad(total))(params)["embedding"]
  assert (gradient["codebooks"] == 0).all()
  assert (jnp.abs(gradient["projection"]).max((1, 2)) > 0).all()


def test_conditions_change_the_logits_and_have_a_null():
  params = lively_params()

  def of(category):
    ids = jnp.full((B,), category)
    return logits(SMALL, params, 0, conditions={"category": ids})

  null = CONDITION_SIZES["category"]
  assert jnp.abs(of(0) - of(1)).max() > 1e-3
  assert jnp.abs(of(0) - of(null)).max() > 1e-3


def test_further_conditions_by_the_same_mechanism():
  names = ("category", "genre", "role")
  config = small(conditions=names)
  params = lively_params(config)
  nulls = {name: jnp.full((B,), CONDITION_SIZES[name]) for name in names}
  of_none = logits(config, params, 0, conditions=nulls)
  for name in names:
    for value in (0, CONDITION_SIZES[name] - 1):
      ids = nulls | {name: jnp.full((B,), value)}
      given = logits(config, params, 0, conditions=ids)
      assert jnp.abs(given - of_none).max() > 1e-3


def test_without_conditions():
  config = small(conditions=())
  out = logits(config, lively_params(config), 0, conditions={})
  assert out.shape == (B, T, V)


def test_a_dropped_context_has_no_effect():
  params = lively_params()
  context, _, _ = inputs()
  drop = jnp.array([True, False, True, False])
  one = logits(SMALL, params, 0, drop_context=drop)
  two = logits(SMALL, params, 0, context=context[::-1], drop_context=drop)
  given = logits(SMALL, params, 0)
  np.testing.assert_array_equal(one[drop], two[drop])
  assert (jnp.abs(one - two)[~drop].max((1, 2)) > 1e-3).all()
  assert (jnp.abs(one - given)[drop].max((1, 2)) > 1e-3).all()
  np.testing.assert_allclose(one[~drop], given[~drop], atol=1e-5)


@pytest.mark.parametrize("attention", ["map", "dot_product"])
def test_padding_changes_nothing(attention):
  config = small(attention=attention, qk_norm=True)
  params = lively_params(config)
  context, target, _ = inputs()
  short = 9
  valid = jnp.broadcast_to(jnp.arange(T) < short, (B, T))
  padded = logits(config, params, 0, valid=valid)
  unpadded = logits(config, params, 0, context[:, :short], target[:, :short])
  np.testing.assert_allclose(padded[:, :short], unpadded, atol=1e-5)


@pytest.mark.parametrize("remat", ["dots", "full"])
def test_recomputing_changes_no_gradient(remat):
  context, target, category = inputs()
  params = lively_params()

  def gradient(config):
    return jax.jit(
      jax.grad(
        lambda params: jnp.square(
          apply(config, params, context, target, {"category": category}, 0)
        ).sum()
      )
    )(params)

  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4),
    gradient(SMALL),
    gradient(small(remat=remat)),
  )


@pytest.mark.parametrize("shape", [(4, 2), (1, 2)])
def test_the_same_on_any_mesh(shape):
  config = small(attention="dot_product")
  alone = logits(config, lively_params(config), jnp.array([0, 1, 2, 1]))
  with jax.set_mesh(make_mesh(*shape)):
    params = lively_params(config)
    kernel = params["blocks"]["up"]["kernel"]
    assert kernel.sharding.spec == jax.P(None, "data", None, "model")
    split = logits(config, params, jnp.array([0, 1, 2, 1]))
    np.testing.assert_allclose(alone, jax.device_get(split), atol=2e-5)


def test_bfloat16_is_near():
  exact = logits(SMALL, lively_params(), 0)
  rough = logits(small(dtype="bfloat16"), lively_params(), 0)
  assert rough.dtype == jnp.float32
  assert float(jnp.abs(exact - rough).max()) < 0.1


def test_the_papers_size():
  config = slakh.get_config().model
  shape = (config.depth, config.width, config.heads, config.levels)
  assert shape == (20, 1024, 16, 4)
  assert (config.codes, config.embedding) == (2048, "table")
  assert config.conditions == ("category",)
  assert CONDITION_SIZES["category"] == 18
  params = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
  assert params["embedding"]["conditions"]["category"].shape == (19, 512)
  assert params["embedding"]["table"].shape == (4, 2048, 512)
  assert params["head"].shape == (4, 1024, 2048)

  def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))

  assert 251e6 <= count(params["blocks"]) <= 257e6
  assert count(params) == pytest.approx(270e6, rel=0.01)


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("width", 33),
    ("heads", 5),
    ("depth", 0),
    ("embedding", "tables"),
    ("attention", "flash"),
    ("conditions", ("category", "mood")),
    ("latent", 0),
  ],
)
def test_impossible_shapes_are_named(field, value):
  config = small(**{field: value})
  with pytest.raises(ValueError, match=field):
    config.validate()


def test_too_large_a_mesh_is_refused():
  with pytest.raises(ValueError, match="devices"):
    make_mesh(64, 64)
