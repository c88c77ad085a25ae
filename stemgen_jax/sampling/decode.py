"""Masked decoding of codes, level by level, one compiled program per shape."""

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, UInt32

from stemgen_jax.model import config as config_lib
from stemgen_jax.model import transformer
from stemgen_jax.model.embedding import Context
from stemgen_jax.sampling import guidance, kernels, noise, ranking, schedule
from stemgen_jax.sampling import settings as settings_lib


class Inputs(NamedTuple):
  """Arrays of a batch that all levels share; see `decode_codes`."""

  context: Context
  conditions: dict[str, Int[Array, " b"]]
  known: Int[Array, "b t q"]
  known_mask: Bool[Array, "b t q"]
  valid: Bool[Array, "b t"]
  seeds: UInt32[Array, " b"]
  frames: Int[Array, "b t"]


class StaticSettings(NamedTuple):
  """Settings that are compiled into the program."""

  rank: str
  schedule: str
  truncated: bool
  unguided_steps: bool
  kernel: kernels.Kernel


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


def decode_codes(
  config: config_lib.ModelConfig,
  params: Any,
  context: Int[ArrayLike, "b t q"] | Float[ArrayLike, "b t bands"],
  conditions: Mapping[str, Int[ArrayLike, " b"]],
  seeds: Int[ArrayLike, " b"],
  settings: settings_lib.Settings,
  *,
  known: Int[ArrayLike, "b t q"] | None = None,
  known_mask: Bool[ArrayLike, "b t q"] | None = None,
  valid: Bool[ArrayLike, "b t"] | None = None,
  frame_offset: Int[ArrayLike, " b"] | int = 0,
  at_once: int | None = None,
  progress: Callable[[int], object] | None = None,
  compile_only: bool = False,
  apply: Callable = transformer.apply,
  kernel: kernels.Kernel = kernels.REFERENCE,
) -> Int[np.ndarray, "b t q"]:
  """Sample the target's codes, coarse to fine (StemGen, section 2.3).

  While a level is decoded, its known frames are given and all finer levels
  are masked in every frame, as in training.

  An item's codes depend on its own arguments alone. The last bits of a
  product may still depend on the number of items in it and change the order
  of two candidates that almost tie: `at_once=1` excludes that. Under a mesh
  set by `jax.set_mesh` the items are split over its axis `data`, and every
  device has the whole model.

  Args:
    config: configuration of the model.
    params: parameters of the model.
    context: codes of the context, or its spectrum for `config.context=
      "spectrum"`; any value in padding.
    conditions: one id per item for each condition of the model.
    seeds: one seed per item, 0 to 2**32 - 1.
    settings: see `Settings`.
    known: codes to keep where `known_mask` is True.
    known_mask: True for codes to keep; all False by default.
    valid: False for padding, which is not attended to; all True by default.
    frame_offset: absolute number of the first frame, per item or for all.
    at_once: items that one device decodes together; all by default.
    progress: function called after each level with steps times items.
    compile_only: take no step, so that only the programs are compiled; the
      codes are then undefined.
    apply: forward pass with the signature of `transformer.apply`.
    kernel: kernel that picks candidates; the plain path by default. One with
      the head in it takes `transformer.apply_hidden` for `apply`.

  Returns:
    Codes of every valid frame, int32; 0 in padding.

  Raises:
    ValueError: an argument is out of range, or see `guidance.branches`.
  """
  b, t = np.shape(context)[:2]
  spectral, levels = config.context == "spectrum", config.levels
  if (known is None) != (known_mask is None):
    raise ValueError("known and known_mask: one is missing; give both or none")
  if at_once is not None and at_once < 1:
    raise ValueError(f"at_once {at_once}: expected 1 or more")
  if not all(0 <= seed < 2**32 for seed in np.ravel(seeds)):
    raise ValueError(f"seeds {seeds}: expected 0 to {2**32 - 1}")
  if missing := set(config.conditions) - set(conditions):
    raise ValueError(
      f"conditions: {', '.join(sorted(missing))} missing; expected ids of "
      f"{', '.join(config.conditions)}"
    )
  level_params = _share_program(
    [
      _level_params(settings, tuple(config.conditions), q)
      for q in range(levels)
    ]
  )
  if compile_only:
    level_params = [x._replace(steps=np.int32(0)) for x in level_params]
  offset = np.broadcast_to(np.asarray(frame_offset, np.int32), b)
  if known is None:
    known = known_mask = np.zeros((b, t, levels))
  # Kept on the host until the rows of a round are known.
  inputs = Inputs(
    context=_array(context, np.float32 if spectral else np.int32),
    conditions={
      name: _array(conditions[name], np.int32) for name in config.conditions
    },
    known=_array(known, np.int32),
    known_mask=_array(known_mask, bool),
    valid=_array(np.ones((b, t)) if valid is None else valid, bool),
    seeds=_array(seeds, np.uint32),
    frames=_array(offset[:, None] + np.arange(t), np.int32),
  )
  static = StaticSettings(
    settings.rank,
    settings.schedule,
    settings.truncated,
    guidance.has_unguided_steps(settings)
    or any(x.guidance_interval[0] > 1 for x in level_params),
    kernel,
  )
  mesh = jax.sharding.get_mesh()
  devices, split = 1, None
  if not mesh.empty:
    devices, split = mesh.shape["data"], jax.NamedSharding(mesh, P("data"))
    params = jax.device_put(params, jax.NamedSharding(mesh, P()))
  size = devices * min(at_once or b, -(-b // devices))
  codes = []
  for first in range(0, b, size):
    # Repeat the last item to fill the last round: one shape compiles once.
    rows = np.minimum(np.arange(first, first + size), b - 1)
    count = min(size, b - first)
    complete = inputs.known_mask | ~inputs.valid[..., None]
    complete = _array(complete[rows].all((0, 1)), bool)  # [q]
    part, target = jax.device_put(
      (
        jax.tree.map(lambda x, rows=rows: x[rows], inputs),
        np.full((size, t, levels), config.codes, np.int32),
      ),
      split,
    )
    for level in range(levels):
      if complete[level]:  # The model need not run.
        target = target.at[..., level].set(part.known[..., level])
      else:
        target = decode_level(
          Model(config, apply),
          static,
          None if mesh.empty else mesh,
          params,
          part,
          target,
          np.int32(level),
          level_params[level],
        )
      if progress is not None:
        jax.block_until_ready(target)
        progress(settings.steps_at(level) * count)
    codes.append(np.asarray(target)[:count])
  return np.where(inputs.valid[..., None], np.concatenate(codes), 0)


def _level_params(
  settings: settings_lib.Settings, conditions: tuple[str, ...], level: int
) -> LevelParams:
  def scalar(name: str) -> Any:
    dtype = np.int32 if name in ("steps", "top_k") else np.float32
    return dtype(settings_lib.at_level(getattr(settings, name), level))

  return LevelParams(
    guidance.branches(settings, conditions, level),
    _array(settings.guidance_interval, np.float32),
    _array(settings.guidance_ramp, np.float32),
    *(scalar(name) for name in LevelParams._fields[3:]),
  )


def _share_program(levels: list[LevelParams]) -> list[LevelParams]:
  """Let levels without guidance run the program of the guided ones.

  Their only branch, with all conditions, is what a guided level runs in its
  unguided steps. So one program is compiled and loaded instead of two.
  """
  guided = [x.branches for x in levels if len(x.branches.weights) > 1]

  def shared(params: LevelParams) -> LevelParams:
    if not guided or len(params.branches.keep) > 1:
      return params
    if not params.branches.keep.all():
      return params
    never = np.full(2, 2.0, np.float32)  # no step is inside this interval
    return params._replace(branches=guided[0], guidance_interval=never)

  return [shared(params) for params in levels]


def _array(values: Any, dtype: Any) -> Any:
  return np.asarray(values, dtype)


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
) -> Int[Array, "b t q"]:
  """Decode one level on the device; `target` holds the coarser levels."""
  decode = functools.partial(_decode_level, model, static)
  if mesh is not None:
    # Inside shard_map each device decodes its items as if it were alone, so
    # that codes do not depend on the number of devices.
    split, whole = P("data"), P()
    decode = jax.shard_map(
      decode,
      mesh=mesh,
      in_specs=(whole, split, split, whole, whole),
      out_specs=split,
      check_vma=False,
    )
  return decode(params, inputs, target, level, level_params)


def _decode_level(
  model: Model,
  static: StaticSettings,
  params: Any,
  inputs: Inputs,
  target: Int[Array, "b t q"],
  level: Int[Array, ""],
  level_params: LevelParams,
) -> Int[Array, "b t q"]:
  mask_id = model.config.codes
  predict = functools.partial(_predict, model, params, inputs, level)
  known_mask = inputs.known_mask[..., level] & inputs.valid  # [b, t]
  tokens = jnp.where(known_mask, inputs.known[..., level], mask_id)
  total = jnp.sum(inputs.valid & ~known_mask, axis=-1)  # [b]
  length = jnp.maximum(jnp.sum(inputs.valid, axis=-1, keepdims=True), 1)
  place = jnp.arange(tokens.shape[1])[None] / length  # n/N of eq. 1, [b, t]
  keep, weights, plain = level_params.branches
  top = (level_params.top_k, level_params.top_p) if static.truncated else None

  def step(number, tokens):
    masked = inputs.valid & (tokens == mask_id)
    left = schedule.masked_after(
      number + 1, level_params.steps, total, static.schedule
    )
    count = jnp.sum(masked, axis=-1) - left  # frames to fix, [b]
    partial_target = target.at[..., level].set(tokens)
    keys = functools.partial(
      noise.frame_keys, inputs.seeds, inputs.frames, level, number
    )
    strength = guidance.strength(
      number,
      level_params.steps,
      level_params.guidance_interval,
      level_params.guidance_ramp,
    )
    order = _order(static, inputs, level_params, level, number, place, keys)

    def pick(keep, weights):
      # n branches run as one batch of n * b: [n * b, t, v], or [n * b, t, d]
      # where the kernel includes the head.
      predicted = predict(keep, partial_target)
      values, head = predicted if static.kernel.head else (predicted, None)
      return kernels.pick(
        static.kernel,
        values,
        weights,
        level_params.temperature,
        keys(noise.CANDIDATES),
        order,
        level_params.w_confidence,
        rank=static.rank,
        codes=mask_id,
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

  tokens = jax.lax.fori_loop(0, level_params.steps, step, tokens)
  return target.at[..., level].set(tokens)


def _order(
  static: StaticSettings,
  inputs: Inputs,
  level_params: LevelParams,
  level: Int[Array, ""],
  step: Int[Array, ""],
  place: Float[Array, "b t"],
  keys: Callable[[int], Key[Array, "b t"]],
) -> Float[Array, "b t"]:
  """Return the part of the rank that the candidates do not change."""
  if static.rank == "low_discrepancy":
    return ranking.low_discrepancy_order(
      inputs.frames, noise.rolls(inputs.seeds, level)
    )
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
  return model.apply(
    model.config,
    params,
    tile(inputs.context),
    tile(target),
    conditions,
    level,
    drop_context=~kept[:, -1],
    valid=tile(inputs.valid),
  )
