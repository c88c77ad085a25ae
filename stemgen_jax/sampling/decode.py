"""Masked decoding of codes, level by level, one compiled program per shape."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from stemgen_jax import model as model_lib
from stemgen_jax.model.config import SCALES
from stemgen_jax.sampling import guidance, kernels, programs
from stemgen_jax.sampling import settings as settings_lib
from stemgen_jax.sampling.decode_level import (
  Inputs,
  LevelParams,
  Model,
  StaticSettings,
  decode_level,
)


def _apply(*args: Any, **kwargs: Any) -> Float[Array, "b t v"]:
  return model_lib.apply(*args, **kwargs)  # Flax is imported to trace only.


def decode_codes(
  config: model_lib.ModelConfig,
  params: Any,
  context: Int[ArrayLike, "b t q"] | Float[ArrayLike, "b t bands"],
  conditions: Mapping[str, Int[ArrayLike, " b"]],
  seeds: Int[ArrayLike, " b"],
  settings: settings_lib.Settings,
  *,
  known: Int[ArrayLike, "b t q"] | None = None,
  known_mask: Bool[ArrayLike, "b t q"] | None = None,
  valid: Bool[ArrayLike, "b t"] | None = None,
  context_frames: Int[ArrayLike, " b"] | None = None,
  frame_offset: Int[ArrayLike, " b"] | int = 0,
  at_once: int | None = None,
  progress: Callable[[int], object] | None = None,
  compile_only: bool = False,
  apply: Callable = _apply,
  kernel: kernels.Kernel = kernels.REFERENCE,
  programs_folder: pathlib.Path | None = None,
) -> Int[np.ndarray, "b t q"]:
  """Sample the target's codes, coarse to fine (StemGen, section 2.3).

  While a level is decoded, its known frames are given and all finer levels
  are masked in every frame, as in training. With `config.scale_frames` all
  codes have the column of scale tokens, which are decoded first, segment by
  segment.

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
    known_mask: True for codes to keep; all False by default. In the column of
      scales the first frame of a segment counts.
    valid: False for padding, which is not attended to; all True by default.
    context_frames: number of frames whose context is known, for a model with
      `config.future`; all by default.
    frame_offset: absolute number of the first frame, per item or for all.
    at_once: items that one device decodes together; all by default.
    progress: function called after each step with the number of items; an
      exception that it raises ends the work.
    compile_only: take no step, so that only the programs are compiled; the
      codes are then undefined.
    apply: forward pass with the signature of `transformer.apply`.
    kernel: kernel that picks candidates; the plain path by default. One with
      the head in it takes `transformer.apply_hidden` for `apply`.
    programs_folder: existing folder to keep traced programs in, if any; used
      on one CPU device, for the default `apply` and kernel.

  Returns:
    Codes of every valid frame, int32; 0 in padding.

  Raises:
    ValueError: an argument is out of range, or see `guidance.branches`.
  """
  b, t = np.shape(context)[:2]
  spectral, columns = config.context == "spectrum", config.columns
  if (known is None) != (known_mask is None):
    raise ValueError("known and known_mask: one is missing; give both or none")
  if at_once is not None and at_once < 1:
    raise ValueError(f"at_once {at_once}: expected 1 or more")
  if not all(0 <= seed < settings_lib.SEEDS for seed in np.ravel(seeds)):
    raise ValueError(f"seeds {seeds}: expected 0 to {settings_lib.SEEDS - 1}")
  if context_frames is not None and not config.future:
    raise ValueError(
      "context_frames: these weights were not trained with an unknown context "
      "(config.future is False); leave it out"
    )
  if missing := set(config.conditions) - set(conditions):
    raise ValueError(
      f"conditions: {', '.join(sorted(missing))} missing; expected ids of "
      f"{', '.join(config.conditions)}"
    )
  if config.scale_frames and (t % config.scale_frames or kernel.head):
    raise ValueError(
      f"{t} frames, kernel.head={kernel.head}: scales are predicted for whole "
      f"segments of {config.scale_frames} frames, by another head; expected a "
      "multiple and head=False"
    )
  level_params = _share_program(
    {
      level: _level_params(settings, tuple(config.conditions), level)
      for level in config.stages
    }
  )
  offset = np.broadcast_to(np.asarray(frame_offset, np.int32), b)
  if known is None:
    known = known_mask = np.zeros((b, t, columns))
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
    context_frames=None
    if context_frames is None
    else _array(context_frames, np.int32),
  )
  static = StaticSettings(
    settings.rank,
    settings.schedule,
    settings.truncated,
    guidance.has_unguided_steps(settings)
    or any(x.guidance_interval[0] > 1 for x in level_params.values()),
    kernel,
  )
  mesh = jax.sharding.get_mesh()
  devices, split = 1, None
  if not mesh.empty:
    devices, split = mesh.shape["data"], jax.NamedSharding(mesh, P("data"))
    params = jax.device_put(params, jax.NamedSharding(mesh, P()))
  # Custom calls of other backends and kernels cannot all be exported.
  plain = apply is _apply and kernel == kernels.REFERENCE and mesh.empty

  def program(static: StaticSettings) -> Callable:
    run: Callable = functools.partial(
      decode_level, Model(config, apply), static, None if mesh.empty else mesh
    )
    if programs_folder and plain and jax.default_backend() == "cpu":
      described = repr((config, static))
      run = functools.partial(programs.call, programs_folder, run, described)
    return run

  run, run_scales = program(static), program(static._replace(scales=True))
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
        np.full((size, t, columns), config.codes, np.int32),
      ),
      split,
    )
    for level in config.stages:
      steps = settings.steps_at(level)
      # One call for all steps, unless each of them is reported.
      each = 1 if progress else steps
      for step in range(0, 1 if compile_only else steps, each):
        if complete[level]:  # The model need not run.
          target = target.at[..., level].set(part.known[..., level])
        else:
          span = (0, 0) if compile_only else (step, step + each)
          target = (run_scales if level == SCALES else run)(
            params,
            part,
            target,
            np.int32(level),
            level_params[level],
            _array(span, np.int32),
          )
        if progress is not None:
          jax.block_until_ready(target)
          progress(count)
    codes.append(np.asarray(target)[:count])
  return np.where(inputs.valid[..., None], np.concatenate(codes), 0)


def _level_params(
  settings: settings_lib.Settings, conditions: tuple[str, ...], level: int
) -> LevelParams:
  def scalar(name: str) -> Any:
    if name == "steps":
      return np.int32(settings.steps_at(level))
    dtype = np.int32 if name == "top_k" else np.float32
    return dtype(settings_lib.at_level(getattr(settings, name), level))

  return LevelParams(
    guidance.branches(settings, conditions, level),
    _array(settings.guidance_interval, np.float32),
    _array(settings.guidance_ramp, np.float32),
    *(scalar(name) for name in LevelParams._fields[3:]),
  )


def _share_program(levels: dict[int, LevelParams]) -> dict[int, LevelParams]:
  """Let levels without guidance run the program of the guided ones.

  Their only branch, with all conditions, is what a guided level runs in its
  unguided steps. So one program is compiled and loaded instead of two.
  """
  guided = [x.branches for x in levels.values() if len(x.branches.weights) > 1]

  def shared(params: LevelParams) -> LevelParams:
    if not guided or len(params.branches.keep) > 1:
      return params
    if not params.branches.keep.all():
      return params
    never = np.full(2, 2.0, np.float32)  # no step is inside this interval
    return params._replace(branches=guided[0], guidance_interval=never)

  return {level: shared(params) for level, params in levels.items()}


def _array(values: Any, dtype: Any) -> Any:
  return np.asarray(values, dtype)
