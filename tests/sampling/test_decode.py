"""Tests of the decoding, mostly with models whose answer is known."""

import itertools
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stemgen_jax import model
from stemgen_jax.model import sharding
from stemgen_jax.sampling import Settings, cost, decode, decode_codes

NO_GUIDANCE = {"context": 1.0, "category": 1.0}


def _config(levels=2, codes=8):
  return model.ModelConfig(
    levels=levels, codes=codes, width=16, depth=2, heads=2, mlp=32, window=16
  )


def _decode(apply, config, settings, *, b=1, t=16, **given):
  given = {
    "params": None,
    "context": np.zeros((b, t, config.levels), int),
    "conditions": {"category": np.zeros(b, int)},
    "seeds": np.arange(b),
  } | given
  codes = decode_codes(config, settings=settings, apply=apply, **given)
  return np.asarray(codes)


def _when(config, params, context, target, conditions, level, **_):
  """Predicts the number of fixed frames: a code is the time of its fixing."""
  fixed = jnp.sum(target[..., level] != config.codes, axis=-1)
  logits = 1e4 * jax.nn.one_hot(fixed, config.codes)
  return jnp.broadcast_to(logits[:, None], (*target.shape[:2], config.codes))


def _known_probabilities(config, params, context, *_, **__):
  return jnp.broadcast_to(jnp.log(params), (*context.shape[:2], config.codes))


def _tables(config, params, context, target, conditions, level, **drops):
  """Logits that depend on all conditions, on each frame by itself."""
  logits = params["level"][level][None, None] + params["target"][target].sum(-2)
  from_context = params["context"][context].sum(-2)
  dropped = drops["drop_context"][:, None, None]
  logits += jnp.where(dropped, 0.0, from_context)
  return logits + params["category"][conditions["category"]][:, None]


def _one_branch(config, params, context, target, conditions, level, **drops):
  """`_tables` with the conditions in `params["keep"]`, whatever is dropped."""
  keep_context, category = params["keep"]
  drop_context = jnp.full(len(context), ~keep_context)
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
    rank="paper",
    w_confidence=0,
    w_causal=1,
    w_random=0,
    guidance=NO_GUIDANCE,
  )
  codes = _decode(_when, _config(codes=64), settings, t=40)
  assert (np.diff(codes[0, :, 0]) >= 0).all()
  assert codes[0, 0, 0] == 0
  assert codes[0, -1, 0] > 0


@pytest.mark.parametrize(
  ("rank", "schedule", "noise"),
  [
    ("paper", "cosine", 0.0),
    ("paper", "linear", 1.0),
    ("gumbel", "cosine", 0.0),
    ("gumbel", "square", 1.0),
    ("random", "root", 1.0),
    ("low_discrepancy", "cosine", 0.0),
  ],
)
def test_counts_follow_the_schedule_also_when_all_ranks_tie(
  rank, schedule, noise
):
  settings = Settings(
    steps=(5,),
    rank=rank,
    schedule=schedule,
    w_confidence=1,
    w_causal=0,
    w_random=noise,
    rank_temperature=noise,
    guidance=NO_GUIDANCE,
  )
  codes = _decode(_when, _config(codes=64), settings, b=3, t=40)
  u = np.arange(5) / 5
  left = {
    "cosine": np.cos(np.pi / 2 * u),
    "linear": 1 - u,
    "square": 1 - u**2,
    "root": 1 - u**0.5,
  }[schedule]
  expected = (40 - np.floor(40 * left + 1e-6)).tolist()
  for item in codes:
    assert np.unique(item[:, 0]).tolist() == expected


@pytest.mark.parametrize("rank", ["paper", "random"])
def test_random_weight_alone_takes_every_order_alike(rank):
  settings = Settings(
    steps=(2,), rank=rank, w_confidence=0, w_causal=0, guidance=NO_GUIDANCE
  )
  codes = _decode(_when, _config(levels=1), settings, b=5600, t=8)
  first = [tuple(np.flatnonzero(item == 0).tolist()) for item in codes[..., 0]]
  subsets = list(itertools.combinations(range(8), 8 - int(8 * 0.5**0.5)))
  counts = [first.count(subset) for subset in subsets]
  assert sum(counts) == len(codes)
  assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_low_discrepancy_spreads_what_is_fixed_evenly():
  settings = Settings(
    steps=(4,), rank="low_discrepancy", schedule="linear", guidance=NO_GUIDANCE
  )
  codes = _decode(_when, _config(codes=128), settings, b=4, t=128)[..., 0]
  for item in codes:
    for fixed in (32, 64, 96):
      places = np.flatnonzero(item < fixed)
      gaps = np.diff(np.append(places, places[0] + 128))
      assert gaps.max() <= (4 if fixed == 32 else 2)
  # The roll: which frames come first is the seed's.
  assert len({tuple(np.flatnonzero(item == 0)[:1]) for item in codes}) > 1


PROBABILITIES = np.array([0.5, 0.2, 0.15, 0.1, 0.04, 0.01])


@pytest.mark.parametrize(
  ("steps", "given", "expected"),
  [
    (1, {}, PROBABILITIES),
    (16, {}, PROBABILITIES),
    # 50 frames in 50 steps: one token at a time.
    (50, {"schedule": "linear"}, PROBABILITIES),
    (16, {"temperature": 2.0}, PROBABILITIES**0.5),
    (4, {"top_k": 3}, PROBABILITIES * [1, 1, 1, 0, 0, 0]),
    (4, {"top_p": 0.84}, PROBABILITIES * [1, 1, 1, 0, 0, 0]),
    (4, {"top_p": 0.86}, PROBABILITIES * [1, 1, 1, 1, 0, 0]),
    (4, {"top_p": 0.86, "top_k": 2}, PROBABILITIES * [1, 1, 0, 0, 0, 0]),
  ],
)
def test_codes_come_with_the_models_probabilities(steps, given, expected):
  settings = Settings(
    steps=(steps,), rank="random", guidance=NO_GUIDANCE, **given
  )
  codes = _decode(
    _known_probabilities,
    _config(levels=2, codes=6),
    settings,
    b=200,
    t=50,
    params=jnp.asarray(PROBABILITIES),
  )
  valid = expected > 0
  expected = expected[valid] * 200 * 50 / expected.sum()
  for level in range(2):
    counts = np.bincount(codes[..., level].ravel(), minlength=6)
    assert counts[~valid].sum() == 0
    assert scipy.stats.chisquare(counts[valid], expected).pvalue > 1e-3


def test_temperature_and_truncation_are_per_level():
  settings = Settings(
    steps=(2,),
    rank="random",
    guidance=NO_GUIDANCE,
    temperature=(1.0, 1e-4, 1.0),
    top_k=(0, 0, 2),
  )
  codes = _decode(
    _known_probabilities,
    _config(levels=4, codes=6),
    settings,
    t=300,
    params=jnp.asarray(PROBABILITIES),
  )
  counts = [len(np.unique(codes[0, :, level])) for level in range(4)]
  assert counts[0] > 4
  assert counts[1:] == [1, 2, 2]


def test_sampling_is_in_float32_whatever_the_model_computes_in():
  def flat(config, params, context, *_, **__):
    shape = (*context.shape[:2], config.codes)
    return jnp.zeros(shape, jnp.bfloat16)

  # In bfloat16 the noise of 512 codes is full of ties, and the first one wins.
  settings = Settings(steps=(1,), rank="random", guidance=NO_GUIDANCE)
  codes = _decode(flat, _config(levels=1, codes=512), settings, b=40, t=512)
  counts = np.bincount(codes.ravel(), minlength=512)
  assert scipy.stats.chisquare(counts).pvalue > 1e-3


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
  keep = jnp.array([context, category], bool)
  given = {
    "params": _table_params(config) | {"keep": keep},
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


def _branches_run(config, params, context, *_, **__):
  """Predicts how many branches the model is run for, with b = 1."""
  logits = 1e4 * jax.nn.one_hot(len(context), config.codes)
  return jnp.broadcast_to(logits, (len(context), context.shape[1], len(logits)))


@pytest.mark.parametrize("form", ["paper", "nested"])
def test_steps_outside_the_interval_run_one_branch(form):
  settings = Settings(
    steps=(4,),
    schedule="linear",
    rank="random",
    guidance_form=form,
    guidance={"context": 2.0, "category": 3.0},
    guidance_interval=(0.25, 0.75),
  )
  codes = _decode(_branches_run, _config(levels=1), settings, t=16)
  assert np.bincount(codes.ravel()).tolist() == [0, 8, 0, 8]


def test_a_scale_per_level_runs_the_branches_of_each():
  settings = Settings(
    steps=(2,), guidance={"context": (3.0, 1.0), "category": 1.0}
  )
  codes = _decode(_branches_run, _config(levels=3), settings)
  assert codes[0, 0].tolist() == [2, 1, 1]


@pytest.mark.parametrize("form", ["paper", "nested"])
def test_a_ramp_at_0_is_the_plain_prediction_and_at_1_the_guided(form):
  config = _config()
  given = {
    "params": _table_params(config) | {"keep": jnp.array([True, True])},
    "context": np.random.default_rng(1).integers(0, config.codes, (2, 16, 2)),
    "conditions": {"category": np.array([3, 3])},
    "b": 2,
  }
  scales = {"context": 3.0, "category": 2.0}

  def take(apply=_tables, **settings):
    settings = {"guidance_form": form, "guidance": scales} | settings
    return _decode(apply, config, Settings(steps=(6, 3), **settings), **given)

  plain = take(_one_branch)
  guided = take()
  np.testing.assert_array_equal(take(guidance_ramp=(0.0, 0.0)), plain)
  assert (guided != plain).any()
  # A ramp adds the plain branch with weight 0, which changes the rounding.
  almost = take(guidance_ramp=(1.0, 1.0 - 1e-6))
  assert (almost == guided).mean() > 0.95
  between = take(guidance_ramp=(0.0, 1.0))
  assert (between != plain).any()
  assert (between != guided).any()


def test_coarser_levels_are_clean_and_finer_ones_masked_in_all_frames():
  def check(config, params, context, target, conditions, level, **_):
    finer = jnp.arange(config.levels)[None, None] > level
    coarser = jnp.arange(config.levels)[None, None] < level
    masked = target == config.codes
    right = jnp.all(masked | ~finer) & ~jnp.any(masked & coarser)
    code = jnp.where(right, 1, 2)
    return jnp.broadcast_to(
      1e4 * jax.nn.one_hot(code, config.codes),
      (*target.shape[:2], config.codes),
    )

  known = np.full((1, 16, 4), 1)
  codes = _decode(
    check,
    _config(levels=4),
    Settings(),
    known=known,
    known_mask=np.repeat(np.arange(16)[None, :, None] % 3 == 0, 4, axis=2),
  )
  assert (codes == 1).all()


def test_known_frames_stay_padding_is_0_and_nothing_stays_masked():
  config = _config()
  draw = np.random.default_rng(2)
  known = draw.integers(0, config.codes, (8, 16, 2))
  known_mask = draw.random((8, 16, 2)) < 0.4
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
  kept = known_mask & valid[..., None]
  np.testing.assert_array_equal(codes[kept], known[kept])
  assert (codes >= 0).all()
  assert (codes < config.codes).all()
  assert (codes[~valid] == 0).all()


def test_no_tracer_leaks():
  params = _table_params(_config())
  typing.cast(typing.Any, decode.decode_level).clear_cache()
  with jax.checking_leaks():
    _decode(_tables, _config(), Settings(steps=(2, 1)), params=params)


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


@pytest.mark.parametrize("rank", ["paper", "gumbel"])
def test_a_take_is_the_same_alone_among_eight_and_on_eight_devices(rank):
  config = _config(levels=2, codes=32)
  params = model.init_params(config, jax.random.key(1))
  draw = np.random.default_rng(3)
  context = draw.integers(0, config.codes, (8, 16, 2))
  category = draw.integers(0, 18, 8)
  seeds = np.array([7, 7, 0, 1, 2**32 - 1, 5, 6, 3])

  def takes(items, **given):
    return _decode(
      model.apply,
      config,
      Settings(steps=(4, 2), rank=rank),
      context=context[items],
      conditions={"category": category[items]},
      seeds=seeds[items],
      b=len(items),
      params=params,
      **given,
    )

  alone = np.concatenate([takes(np.array([item])) for item in range(8)])
  np.testing.assert_array_equal(takes(np.arange(8), at_once=1), alone)
  assert (takes(np.arange(8)) == alone).mean() > 0.99
  with jax.set_mesh(sharding.make_mesh(8)):
    np.testing.assert_array_equal(takes(np.arange(8)), alone)
    # A number of takes that the devices do not divide.
    np.testing.assert_array_equal(takes(np.arange(3)), alone[:3])
  with jax.set_mesh(sharding.make_mesh(2)):
    np.testing.assert_array_equal(takes(np.arange(8), at_once=1), alone)


def test_tensor_parallelism_agrees():
  config = _config(levels=2, codes=32)
  params = model.init_params(config, jax.random.key(1))
  with jax.set_mesh(sharding.make_mesh(1, 2)):
    shapes = jax.eval_shape(
      lambda: model.init_params(config, jax.random.key(1))
    )
  auto = jax.make_mesh(
    (1, 2),
    ("data", "model"),
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
    devices=jax.devices()[:2],
  )
  split = jax.tree.map(
    lambda x, shape: jax.device_put(
      x, jax.NamedSharding(auto, shape.sharding.spec)
    ),
    params,
    shapes,
  )
  heads = split["blocks"]["query"]["kernel"].sharding.spec
  assert "model" in heads
  context = np.random.default_rng(3).integers(0, config.codes, (8, 16, 2))
  one, two = (
    _decode(model.apply, config, Settings(), context=context, b=8, params=p)
    for p in (params, split)
  )
  assert (one == two).mean() > 0.99


def test_noise_belongs_to_the_absolute_frame():
  config = _config(levels=1, codes=64)
  params, settings = jnp.full(64, 1 / 64), Settings(steps=(1,))

  def take(t, **given):
    return _decode(
      _known_probabilities, config, settings, t=t, params=params, **given
    )

  whole = take(40)
  np.testing.assert_array_equal(take(10, frame_offset=17), whole[:, 17:27])
  assert (take(40, seeds=np.array([1])) != whole).mean() > 0.8


def test_other_values_do_not_compile_again():
  program = typing.cast(typing.Any, decode.decode_level)
  program.clear_cache()
  some = Settings(
    top_k=5,
    guidance={"context": 3.0, "category": 1.0},
    guidance_interval=(0.5, 1.0),
    guidance_ramp=(2.0, 1.0),
  )
  others = Settings(
    steps=(3, 5),
    w_confidence=0.5,
    w_causal=0.0,
    w_random=0.2,
    rank_temperature=(1.0, 2.0),
    guidance={"context": (1.5, 4.0), "category": 1.0},
    guidance_interval=(0.0, 0.7),
    guidance_ramp=(1.0, 3.0),
    temperature=(0.7, 0.9),
    top_k=(2, 3),
    top_p=0.9,
  )
  for settings, seed in itertools.product((some, others), (0, 1)):
    # Each call has its own config, equal to the others.
    given = {"params": _table_params(_config()), "seeds": np.array([seed])}
    _decode(_tables, _config(), settings, **given)
    _decode(
      _tables,
      _config(),
      settings,
      frame_offset=seed,
      known=np.ones((1, 16, 2), int),
      known_mask=np.arange(32).reshape(1, 16, 2) % 2 == 1,
      valid=np.arange(16)[None] < 8,
      **given,
    )
  assert program._cache_size() == 1


def test_a_wholly_known_level_is_not_computed():
  def never(config, params, context, target, *_, **__):
    raise AssertionError("the model was run")

  known = np.random.default_rng(0).integers(0, 8, (1, 16, 2))
  codes = _decode(
    never,
    _config(),
    Settings(),
    known=known,
    known_mask=np.ones(known.shape, bool),
  )
  np.testing.assert_array_equal(codes, known)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"known": np.zeros((1, 16, 2), int)}, "known and known_mask"),
    ({"known_mask": np.ones((1, 16, 2), bool)}, "known and known_mask"),
    ({"at_once": 0}, "at_once 0"),
  ],
)
def test_arguments_that_do_not_fit_are_named(given, message):
  with pytest.raises(ValueError, match=message):
    _decode(_tables, _config(), Settings(), **given)


def _count_runs(settings, frames=16):
  """Return the branches of each run of the model for so many frames."""
  runs = []

  def counting(config, params, context, *arguments, **options):
    jax.debug.callback(lambda: runs.append(len(context)), ordered=True)
    return _tables(config, params, context, *arguments, **options)

  config = _config()
  known_mask = np.broadcast_to(np.arange(16) >= frames, (1, 2, 16))
  given = {
    "params": _table_params(config),
    "known": np.zeros((1, 16, 2), int),
    "known_mask": known_mask.swapaxes(1, 2),
  }
  codes = _decode(counting, config, settings, **given)
  jax.effects_barrier()
  expected = _decode(_tables, config, settings, **given)
  np.testing.assert_array_equal(codes, expected)
  assert codes.max() < config.codes
  assert cost.passes(settings, config, [frames] * 2) == sum(runs)
  return runs


def test_steps_that_fix_no_frame_do_not_run_the_model():
  settings = Settings(steps=(40, 3), guidance=NO_GUIDANCE)
  left = np.floor(16 * np.cos(np.pi / 2 * np.arange(41) / 40) + 1e-6)
  fixing = np.count_nonzero(np.diff(left))
  assert fixing <= 16
  assert _count_runs(settings) == [1] * (fixing + 3)
  assert _count_runs(settings, frames=2) == [1] * 4  # one by one


def test_branches_of_weight_0_are_not_computed():
  settings = Settings(
    steps=(3, 2),
    guidance={"context": (2.5, 1.0), "category": 1.0},
    guidance_ramp=(2.0, 0.0),
  )
  # Guided, guided, unguided; then a level without guidance.
  assert _count_runs(settings) == [2, 2, 1, 1, 1]


def test_levels_with_and_without_guidance_share_a_program():
  program = typing.cast(typing.Any, decode.decode_level)
  program.clear_cache()
  settings = Settings(guidance={"context": (2.5, 1.0), "category": 1.0})
  config = _config()
  params = _table_params(config)
  _decode(_tables, config, settings, params=params, compile_only=True)
  assert program._cache_size() == 1
  codes = _decode(_tables, config, settings, params=params)
  assert program._cache_size() == 1
  assert codes.max() < config.codes


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
