"""Masked decoding of codes, level by level, one compiled program per shape."""

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from stemgen_jax.model import config as config_lib
from stemgen_jax.model import transformer
from stemgen_jax.sampling import guidance, noise, ranking, schedule
from stemgen_jax.sampling import settings as settings_lib


class Inputs(NamedTuple):
  """What is heard and what is given, the same for all levels."""

  context: Int[Array, "b t q"]
  conditions: dict[str, Int[Array, " b"]]
  known: Int[Array, "b t q"]
  known_mask: Bool[Array, "b t"]
  valid: Bool[Array, "b t"]
  seeds: Int[Array, " b"]
  frames: Int[Array, "b t"]
  keep: Bool[Array, "n k"]


class Numbers(NamedTuple):
  """The settings of one level as arrays, so that none is compiled in."""

  steps: Int[Array, ""]
  guidance: Float[Array, " n"]
  w_confidence: Float[Array, ""]
  w_causal: Float[Array, ""]
  w_random: Float[Array, ""]
  rank_temperature: Float[Array, ""]
  temperature: Float[Array, ""]


class Model:
  """A model's forward pass as a static argument, compared by value."""

  def __init__(self, config: config_lib.ModelConfig, apply: Callable):
    self.config = copy.deepcopy(config)
    self.apply = apply
    self._value = (repr(config), apply)

  def __hash__(self):
    return hash(self._value)

  def __eq__(self, other):
    return isinstance(other, Model) and self._value == other._value


def decode_codes(
  config: config_lib.ModelConfig,
  params: Any,
  context: Int[ArrayLike, "b t q"],
  conditions: Mapping[str, Int[ArrayLike, " b"]],
  seeds: Int[ArrayLike, " b"],
  settings: settings_lib.Settings,
  *,
  known: Int[ArrayLike, "b t q"] | None = None,
  known_mask: Bool[ArrayLike, "b t"] | None = None,
  valid: Bool[ArrayLike, "b t"] | None = None,
  frame_offset: Int[ArrayLike, " b"] | int = 0,
  progress: Callable[[int], object] | None = None,
  apply: Callable = transformer.apply,
) -> Int[Array, "b t q"]:
  """Samples the target's codes, coarse to fine (StemGen, section 2.3).

  While a level is decoded, its known frames are given and all finer levels
  are masked in every frame, as in training.

  Args:
    config: of the model.
    params: of the model.
    context: codes of what is heard; padding may hold any code.
    conditions: one id for each item and each condition of the model.
    seeds: one for each item, 0 to 2**32 - 1.
    settings: see `Settings`.
    known: codes to keep where `known_mask` is True.
    known_mask: frames that are given; none if left out.
    valid: False marks padding, which is not heard; all True if left out.
    frame_offset: absolute number of the first frame, for each item or all.
    progress: called after each level with the number of its steps.
    apply: forward pass with the signature of `transformer.apply`.

  Returns:
    Codes of every valid frame; 0 in padding.

  Raises:
    ValueError: see `guidance.branches`.
  """
  b, t, levels = np.shape(context)
  keep, weights = guidance.branches(settings, tuple(config.conditions))
  if known is None:
    known, known_mask = np.zeros((b, t, levels)), None
  offset = np.broadcast_to(np.asarray(frame_offset, np.int32), b)
  inputs = Inputs(
    context=jnp.asarray(context, jnp.int32),
    conditions={
      name: jnp.asarray(conditions[name], jnp.int32)
      for name in config.conditions
    },
    known=jnp.asarray(known, jnp.int32),
    known_mask=_mask(known_mask, (b, t), False),
    valid=_mask(valid, (b, t), True),
    seeds=jnp.asarray(seeds, jnp.uint32),
    frames=jnp.asarray(offset[:, None] + np.arange(t, dtype=np.int32)),
    keep=jnp.asarray(keep),
  )
  model = Model(config, apply)
  target = jnp.full((b, t, levels), config.codes, jnp.int32)
  for level in range(levels):
    numbers = Numbers(
      steps=jnp.int32(settings.steps_at(level)),
      guidance=jnp.asarray(weights),
      w_confidence=jnp.float32(settings.w_confidence),
      w_causal=jnp.float32(settings.w_causal),
      w_random=jnp.float32(settings.w_random),
      rank_temperature=jnp.float32(settings.rank_temperature_at(level)),
      temperature=jnp.float32(settings.temperature),
    )
    target = decode_level(
      model, settings.rank, params, inputs, target, jnp.int32(level), numbers
    )
    if progress is not None:
      target.block_until_ready()
      progress(settings.steps_at(level))
  return jnp.where(inputs.valid[..., None], target, 0)


def _mask(
  mask: Bool[ArrayLike, "b t"] | None, shape: tuple[int, int], otherwise: bool
) -> Bool[Array, "b t"]:
  if mask is None:
    return jnp.full(shape, otherwise)
  return jnp.asarray(mask, bool)


@functools.partial(jax.jit, static_argnames=("model", "rank"))
def decode_level(
  model: Model,
  rank: str,
  params: Any,
  inputs: Inputs,
  target: Int[Array, "b t q"],
  level: Int[Array, ""],
  numbers: Numbers,
) -> Int[Array, "b t q"]:
  """Decodes one level on the device; `target` holds the coarser levels."""
  mask_id = model.config.codes
  predict = _predictor(model, params, inputs, level, numbers.guidance)
  given = inputs.known_mask & inputs.valid
  tokens = jnp.where(given, inputs.known[..., level], mask_id)
  total = jnp.sum(inputs.valid & ~given, axis=-1)
  length = jnp.maximum(jnp.sum(inputs.valid, axis=-1, keepdims=True), 1)
  place = jnp.arange(tokens.shape[1]) / length  # [b, t]

  def step(number, tokens):
    masked = inputs.valid & (tokens == mask_id)
    logits = predict(target.at[..., level].set(tokens)) / numbers.temperature
    keys = functools.partial(
      noise.frame_keys, inputs.seeds, inputs.frames, level, number
    )
    candidates = jnp.argmax(
      logits + noise.gumbel(keys(noise.CANDIDATES), mask_id), axis=-1
    ).astype(jnp.int32)
    log_p = jnp.take_along_axis(logits, candidates[..., None], axis=-1)
    log_p = log_p[..., 0] - jax.nn.logsumexp(logits, axis=-1)
    uniform = noise.uniform(keys(noise.ORDER))
    if rank == "paper":
      ranks = ranking.paper_rank(
        log_p,
        place,
        uniform,
        numbers.w_confidence,
        numbers.w_causal,
        numbers.w_random,
      )
    else:
      ranks = ranking.gumbel_rank(
        log_p,
        uniform,
        numbers.rank_temperature * (1.0 - (number + 1) / numbers.steps),
      )
    left = schedule.masked_after(number + 1, numbers.steps, total)
    stay = ranking.best(ranks, masked, jnp.sum(masked, axis=-1) - left)
    return jnp.where(stay, candidates, tokens)

  tokens = jax.lax.fori_loop(0, numbers.steps, step, tokens)
  return target.at[..., level].set(tokens)


def _predictor(
  model: Model,
  params: Any,
  inputs: Inputs,
  level: Int[Array, ""],
  weights: Float[Array, " n"],
) -> Callable[[Int[Array, "b t q"]], Float[Array, "b t v"]]:
  """Guided logits of one level; all branches are one batch of the model."""
  n, b = weights.shape[0], inputs.seeds.shape[0]

  def tile(x):
    return jnp.tile(x, (n,) + (1,) * (x.ndim - 1))

  keep = jnp.repeat(inputs.keep, b, axis=0)  # [n * b, k]
  conditions = {
    name: jnp.where(
      keep[:, column],
      tile(inputs.conditions[name]),
      config_lib.CONDITION_SIZES[name],
    )
    for column, name in enumerate(model.config.conditions)
  }
  context, valid = tile(inputs.context), tile(inputs.valid)

  def predict(target):
    logits = model.apply(
      model.config,
      params,
      context,
      tile(target),
      conditions,
      level,
      drop_context=~keep[:, -1],
      valid=valid,
    )
    return guidance.mix(weights, logits.astype(jnp.float32))

  return predict
