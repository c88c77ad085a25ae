"""The program that decodes one level of the codes on the device."""

import copy
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from stemgen_jax.model import config as config_lib
from stemgen_jax.model.shapes import Context
from stemgen_jax.sampling import guidance, kernels, noise, ranking, schedule


class Inputs(NamedTuple):
  """Arrays of a batch that all levels share; see `decode_codes`."""

  context: Context
  conditions: dict[str, Int[Array, " b"]]
  known: Int[Array, "b t q"]
  known_mask: Bool[Array, "b t q"]
  valid: Bool[Array, "b t"]
  seeds: UInt32[Array, " b"]
  frames: Int[Array, "b t"]
  context_frames: Int[Array, " b"] | None = None


class StaticSettings(NamedTuple):
  """Settings that are compiled into the program.

  With `scales` it samples one token of each segment, not a code of each frame.
  """

  rank: str
  schedule: str
  truncated: bool
  unguided_steps: bool
  kernel: kernels.Kernel
  scales: bool = False


class LevelParams(NamedTuple):
  """Settings of one level as arrays: other values need no compilation."""

  branches: guidance.Branches
  guidance_interval: Float[Array, " 2"]
  guidance_ramp: Float[Array, " 2"]
  # From here on scalars, each with the name of its setting.
  steps: Int[Array, ""]
  w_confidence: Float[Array, ""]
  w_causal: Float[Array, ""]
  w_random: Float[Array, ""]
  rank_temperature: Float[Array, ""]
  temperature: Float[Array, ""]
  top_k: Int[Array, ""]
  top_p: Float[Array, ""]


class Model:
  """A model's forward pass as a static argument, compared by value."""

  def __init__(self, config: config_lib.ModelConfig, apply: Callable):
    # A config is mutable: later changes must not reach a cached program.
    self.config = copy.deepcopy(config)
    self.apply = apply
    self._value = (repr(config), apply)

  def __hash__(self):
    return hash(self._value)

  def __eq__(self, other):
    return isinstance(other, Model) and self._value == other._value


@functools.partial(jax.jit, static_argnames=("model", "static", "mesh"))
def decode_level(
  model: Model,
  static: StaticSettings,
  mesh: Mesh | None,
  params: Any,
  inputs: Inputs,
  target: Int[Array, "b t q"],
  level: Int[Array, ""],
  level_params: LevelParams,
  steps: Int[Array, " 2"],
) -> Int[Array, "b t q"]:
  """Decode one level on the device, or some of its steps.

  Args:
    model, static: what is compiled into the program.
    mesh: mesh of the devices, if there are several.
    params: parameters of the model.
    inputs: arrays that all levels share.
    target: codes of the coarser levels, and of the steps of this one before;
      masked elsewhere.
    level: number of the level, `SCALES` for the scales.
    level_params: settings of the level.
    steps: the first step to take, and the one after the last.
  """
  decode = functools.partial(_decode_level, model, static)
  if mesh is not None:
    # Inside shard_map each device decodes its items as if it were alone, so
    # that codes do not depend on the number of devices.
    split, whole = P("data"), P()
    decode = jax.shard_map(
      decode,
      mesh=mesh,
      in_specs=(whole, split, split, whole, whole, whole),
      out_specs=split,
      check_vma=False,
    )
  return decode(params, inputs, target, level, level_params, steps)


def _decode_level(
  model: Model,
  static: StaticSettings,
  params: Any,
  inputs: Inputs,
  target: Int[Array, "b t q"],
  level: Int[Array, ""],
  level_params: LevelParams,
  steps: Int[Array, " 2"],
) -> Int[Array, "b t q"]:
  config, mask_id = model.config, model.config.codes
  predict = functools.partial(_predict, model, params, inputs, level)
  # For scales, t is the number of segments; each has the noise of its first
  # frame.
  each = config.scale_frames if static.scales else 1
  ids = config_lib.SCALE_TOKENS if static.scales else config.codes
  valid, frames = inputs.valid[:, ::each], inputs.frames[:, ::each]
  known_mask = inputs.known_mask[:, ::each, level] & valid  # [b, t]
  tokens = jnp.where(
    known_mask, inputs.known[:, ::each, level], target[:, ::each, level]
  )

  def with_tokens(tokens: Int[Array, "b t"]) -> Int[Array, "b frames q"]:
    return target.at[..., level].set(jnp.repeat(tokens, each, axis=1))

  total = jnp.sum(valid & ~known_mask, axis=-1)  # [b]
  length = jnp.maximum(jnp.sum(valid, axis=-1, keepdims=True), 1)
  place = jnp.arange(tokens.shape[1])[None] / length  # n/N of eq. 1, [b, t]
  keep, weights, plain = level_params.branches
  top = (level_params.top_k, level_params.top_p) if static.truncated else None

  def step(number, tokens):
    masked = valid & (tokens == mask_id)
    left = schedule.masked_after(
      number + 1, level_params.steps, total, static.schedule
    )
    count = jnp.sum(masked, axis=-1) - left  # frames to fix, [b]
    partial_target = with_tokens(tokens)
    keys = functools.partial(
      noise.frame_keys, inputs.seeds, frames, level, number
    )
    strength = guidance.strength(
      number,
      level_params.steps,
      level_params.guidance_interval,
      level_params.guidance_ramp,
    )
    order = _order(
      static, inputs.seeds, frames, level_params, level, number, place, keys
    )

    def pick(keep, weights):
      # n branches run as one batch of n * b: [n * b, t, v], or [n * b, t, d]
      # where the kernel includes the head.
      predicted = predict(keep, partial_target)
      values, head = predicted if static.kernel.head else (predicted, None)
      if static.scales:
        values = values[:, ::each, :ids]  # so that no other id can be drawn
      return kernels.pick(
        static.kernel,
        values,
        weights,
        level_params.temperature,
        keys(noise.CANDIDATES),
        order,
        level_params.w_confidence,
        rank=static.rank,
        codes=ids,
        head=head,
        top=top,
      )

    def guided():
      # Without a ramp the plain weights are 0 and the strength is 1.
      mixed = strength * weights + (1.0 - strength) * plain
      return pick(keep, jnp.where(plain.any(), mixed, weights))

    def unguided():
      return pick(jnp.ones((1, keep.shape[1]), bool), jnp.ones(1))

    def sample():
      if static.unguided_steps:
        # A cond, not a where: an unguided step runs one branch only.
        picks = jax.lax.cond(strength == 0.0, unguided, guided)
      else:
        picks = guided()
      stay = ranking.best(picks.rank, masked, count)
      return jnp.where(stay, picks.codes, tokens)

    # A step that fixes no frame of any item does not run the model.
    return jax.lax.cond(jnp.any(count > 0), sample, lambda: tokens)

  tokens = jax.lax.fori_loop(steps[0], steps[1], step, tokens)
  return with_tokens(tokens)


def _order(
  static: StaticSettings,
  seeds: UInt32[Array, " b"],
  frames: Int[Array, "b t"],
  level_params: LevelParams,
  level: Int[Array, ""],
  step: Int[Array, ""],
  place: Float[Array, "b t"],
  keys: Callable[[int], Key[Array, "b t"]],
) -> Float[Array, "b t"]:
  """Return the part of the rank that the candidates do not change."""
  if static.rank == "low_discrepancy":
    return ranking.low_discrepancy_order(frames, noise.rolls(seeds, level))
  uniform = noise.uniform(keys(noise.ORDER))
  if static.rank == "paper":
    return ranking.paper_order(
      place, uniform, level_params.w_causal, level_params.w_random
    )
  if static.rank == "gumbel":
    left = 1.0 - (step + 1) / level_params.steps
    return ranking.gumbel_order(uniform, level_params.rank_temperature * left)
  return uniform


def _predict(
  model: Model,
  params: Any,
  inputs: Inputs,
  level: Int[Array, ""],
  keep: Bool[Array, "n k"],
  target: Int[Array, "b t q"],
) -> Any:
  """Return `apply` of a level under each branch, run as one batch."""
  n, b = keep.shape[0], target.shape[0]

  def tile(x):
    return jnp.tile(x, (n,) + (1,) * (x.ndim - 1))

  kept = jnp.repeat(keep, b, axis=0)  # [n * b, k]
  conditions = {
    name: jnp.where(
      kept[:, column],
      tile(inputs.conditions[name]),
      config_lib.CONDITION_SIZES[name],
    )
    for column, name in enumerate(model.config.conditions)
  }
  future = {}
  if inputs.context_frames is not None:
    future["context_frames"] = tile(inputs.context_frames)
  return model.apply(
    model.config,
    params,
    tile(inputs.context),
    tile(target),
    conditions,
    level,
    drop_context=~kept[:, -1],
    valid=tile(inputs.valid),
    **future,
  )
