"""Tests of the decoding, mostly with models whose answer is known."""

import itertools
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stemgen_jax import model
from stemgen_jax.sampling import Settings, decode, decode_codes

NO_GUIDANCE = {"context": 1.0, "category": 0.0}


def _config(levels=2, codes=8):
  return model.ModelConfig(
    levels=levels, codes=codes, width=16, depth=2, heads=2, mlp=32, window=16
  )


def _decode(apply, config, settings, *, b=1, t=16, **given):
  given = {
    "params": None,
    "context": np.zeros((b, t, config.levels)),
    "conditions": {"category": np.zeros(b)},
    "seeds": np.arange(b),
  } | given
  codes = decode_codes(config, settings=settings, apply=apply, **given)
  return np.asarray(codes)


def _when(config, params, context, target, conditions, level, **_):
  """Predicts the number of frames that are fixed: tells when each one was."""
  fixed = jnp.sum(target[..., level] != config.codes, axis=-1)
  logits = 1e4 * jax.nn.one_hot(fixed, config.codes)
  return jnp.broadcast_to(logits[:, None], (*target.shape[:2], config.codes))


def _known_probabilities(config, params, context, *_, **__):
  return jnp.broadcast_to(jnp.log(params), (*context.shape[:2], config.codes))


def _tables(config, params, context, target, conditions, level, **drops):
  """Logits that depend on all that is heard, on each frame by itself."""
  logits = params["level"][level] + params["target"][target].sum(-2)
  heard = params["context"][context].sum(-2)
  logits += jnp.where(drops["drop_context"][:, None, None], 0.0, heard)
  return logits + params["category"][conditions["category"]][:, None]


def _one_branch(config, params, context, target, conditions, level, **drops):
  """`_tables` that hears what `params["hears"]` says, whatever is dropped."""
  context_heard, category = params["hears"]
  drop_context = jnp.full(len(context), ~context_heard)
  null = model.CONDITION_SIZES["category"]
  conditions = {
    "category": jnp.full(len(context), jnp.where(category, 3, null))
  }
  drops |= {"drop_context": drop_context}
  return _tables(config, params, context, target, conditions, level, **drops)


def _table_params(config):
  draw = np.random.default_rng(0).normal
  shapes = {"level": config.levels, "target": config.codes + 1}
  shapes |= {"context": config.codes, "category": 19}
  return {
    name: jnp.asarray(draw(size=(rows, config.codes)), jnp.float32)
    for name, rows in shapes.items()
  }


def test_causal_weight_alone_decodes_from_left_to_right():
  settings = Settings(
    steps=(8,),
    w_confidence=0,
    w_causal=1,
    w_random=0,
    guidance=NO_GUIDANCE,
  )
  codes = _decode(_when, _config(codes=64), settings, t=40)
  assert (np.diff(codes[0, :, 0]) >= 0).all()
  assert codes[0, 0, 0] == 0
  assert codes[0, -1, 0] > 0


@pytest.mark.parametrize("rank", ["paper", "gumbel"])
@pytest.mark.parametrize("w_random", [0.0, 1.0])
def test_counts_follow_the_schedule_also_when_all_ranks_tie(rank, w_random):
  settings = Settings(
    steps=(5,),
    rank=rank,
    w_confidence=1,
    w_causal=0,
    w_random=w_random,
    rank_temperature=(w_random,),
    guidance=NO_GUIDANCE,
  )
  codes = _decode(_when, _config(codes=64), settings, b=3, t=40)
  expected = [40 - int(40 * np.cos(np.pi / 2 * n / 5)) for n in range(5)]
  for item in codes:
    assert np.unique(item[:, 0]).tolist() == expected


def test_random_weight_alone_takes_every_order_alike():
  settings = Settings(
    steps=(2,), w_confidence=0, w_causal=0, guidance=NO_GUIDANCE
  )
  codes = _decode(_when, _config(levels=1), settings, b=5600, t=8)
  first = [tuple(np.flatnonzero(item == 0).tolist()) for item in codes[..., 0]]
  subsets = list(itertools.combinations(range(8), 8 - int(8 * 0.5**0.5)))
  counts = [first.count(subset) for subset in subsets]
  assert sum(counts) == len(codes)
  assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("steps", [1, 16])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_codes_come_with_the_models_probabilities(steps, temperature):
  probabilities = np.array([0.5, 0.2, 0.15, 0.1, 0.04, 0.01])
  settings = Settings(
    steps=(steps,),
    w_confidence=0,
    guidance=NO_GUIDANCE,
    temperature=temperature,
  )
  codes = _decode(
    _known_probabilities,
    _config(levels=2, codes=6),
    settings,
    b=200,
    t=50,
    params=jnp.asarray(probabilities),
  )
  expected = probabilities ** (1 / temperature)
  expected *= 200 * 50 / expected.sum()
  for level in range(2):
    counts = np.bincount(codes[..., level].ravel(), minlength=6)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize(
  ("form", "context", "category"),
  [
    ("paper", 0.0, 0.0),
    ("paper", 1.0, 0.0),
    ("paper", 0.0, 1.0),
    ("nested", 0.0, 0.0),
    ("nested", 0.0, 1.0),
    ("nested", 1.0, 1.0),
  ],
)
def test_scales_of_0_and_1_give_the_single_branches(form, context, category):
  config = _config()
  hears = jnp.array([context, category], bool)
  given = {
    "params": _table_params(config) | {"hears": hears},
    "context": np.random.default_rng(1).integers(0, config.codes, (2, 16, 2)),
    "conditions": {"category": np.array([3, 3])},
    "b": 2,
  }
  scales = {"context": context, "category": category}
  settings = Settings(steps=(6, 3), guidance_form=form, guidance=scales)
  np.testing.assert_array_equal(
    _decode(_tables, config, settings, **given),
    _decode(_one_branch, config, settings, **given),
  )


def test_coarser_levels_are_clean_and_finer_ones_masked_in_all_frames():
  def lawful(config, params, context, target, conditions, level, **_):
    finer = jnp.arange(config.levels) > level
    coarser = jnp.arange(config.levels) < level
    masked = target == config.codes
    right = jnp.all(masked | ~finer) & ~jnp.any(masked & coarser)
    code = jnp.where(right, 1, 2)
    return jnp.broadcast_to(
      1e4 * jax.nn.one_hot(code, config.codes),
      (*target.shape[:2], config.codes),
    )

  known = np.full((1, 16, 4), 1)
  codes = _decode(
    lawful,
    _config(levels=4),
    Settings(),
    known=known,
    known_mask=np.arange(16)[None] % 3 == 0,
  )
  assert (codes == 1).all()


def test_known_frames_stay_padding_is_0_and_nothing_stays_masked():
  config = _config()
  draw = np.random.default_rng(2)
  known = draw.integers(0, config.codes, (8, 16, 2))
  known_mask = draw.random((8, 16)) < 0.4
  known_mask[0] = True
  valid = np.arange(16)[None] < np.array([16, 16, 1, 5, 9, 13, 15, 2])[:, None]
  codes = _decode(
    _tables,
    config,
    Settings(),
    b=8,
    params=_table_params(config),
    known=known,
    known_mask=known_mask,
    valid=valid,
  )
  kept = known_mask & valid
  np.testing.assert_array_equal(codes[kept], known[kept])
  assert (codes >= 0).all()
  assert (codes < config.codes).all()
  assert (codes[~valid] == 0).all()


def test_padding_changes_nothing():
  config = _config()
  params = _table_params(config)
  context = np.random.default_rng(4).integers(0, config.codes, (1, 10, 2))
  alone = _decode(_tables, config, Settings(), params=params, context=context)
  padded = _decode(
    _tables,
    config,
    Settings(),
    params=params,
    context=np.pad(context, ((0, 0), (0, 6), (0, 0)), constant_values=3),
    valid=np.arange(16)[None] < 10,
  )
  np.testing.assert_array_equal(padded[:, :10], alone)


def test_a_take_is_the_same_alone_and_among_eight():
  config = _config(levels=2, codes=32)
  params = model.init_params(config, jax.random.key(1))
  draw = np.random.default_rng(3)
  context = draw.integers(0, config.codes, (8, 16, 2))
  category = draw.integers(0, 18, 8)
  seeds = np.array([7, 7, 0, 1, 2**32 - 1, 5, 6, 3])
  together = _decode(
    model.apply,
    config,
    Settings(steps=(4, 2)),
    context=context,
    conditions={"category": category},
    seeds=seeds,
    b=8,
    params=params,
  )
  for item in range(8):
    alone = _decode(
      model.apply,
      config,
      Settings(steps=(4, 2)),
      context=context[item : item + 1],
      conditions={"category": category[item : item + 1]},
      seeds=seeds[item : item + 1],
      params=params,
    )
    np.testing.assert_array_equal(alone[0], together[item])


def test_noise_belongs_to_the_absolute_frame():
  config = _config(levels=1, codes=64)
  params, settings = jnp.full(64, 1 / 64), Settings(steps=(1,))

  def take(t, **given):
    return _decode(
      _known_probabilities, config, settings, t=t, params=params, **given
    )

  whole = take(40)
  np.testing.assert_array_equal(take(10, frame_offset=17), whole[:, 17:27])
  assert (take(40, seeds=[1]) != whole).mean() > 0.8


def test_numbers_do_not_compile_anew():
  program = typing.cast(typing.Any, decode.decode_level)
  program.clear_cache()
  numbers = Settings(
    steps=(3, 5),
    w_confidence=0.5,
    w_causal=0.0,
    w_random=0.2,
    guidance={"context": 1.5, "category": 2.0},
    temperature=0.7,
  )
  for settings, seed in itertools.product((Settings(), numbers), (0, 1)):
    # Every time with a config of its own, equal to the others.
    given = {"params": _table_params(_config()), "seeds": [seed]}
    _decode(_tables, _config(), settings, **given)
    _decode(
      _tables,
      _config(),
      settings,
      frame_offset=seed,
      known=np.ones((1, 16, 2)),
      known_mask=np.ones((1, 16)),
      valid=np.arange(16)[None] < 8,
      **given,
    )
  assert program._cache_size() == 1


def test_progress_counts_the_steps():
  done = []
  _decode(
    _tables,
    _config(),
    Settings(steps=(6, 2)),
    params=_table_params(_config()),
    progress=done.append,
  )
  assert done == [6, 2]
