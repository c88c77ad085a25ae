"""Sample the codes of a request, window by window."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Int, Shaped

from stemgen_jax import categories, model, sampling
from stemgen_jax.codec import Codec
from stemgen_jax.generation import compilation
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.model.config import SCALES
from stemgen_jax.model.products import resolve_dtype
from stemgen_jax.sampling import loops, windows

_SEAM_SECONDS = 0.5  # decoded again on either side of a loop's seam
_MOST_AT_ONCE = 8
_CONDITIONS = {
  "category": categories.CATEGORIES,
  "genre": categories.GENRES,
  "role": categories.ROLES,
}


def at_once(*, exact: bool) -> int:
  """Return the number of takes that are sampled together on this machine."""
  return 1 if exact or jax.default_backend() == "cpu" else _MOST_AT_ONCE


def count_devices() -> int:
  """Return the number of devices that sample a pass."""
  return max(jax.sharding.get_mesh().size, 1)


def with_dtype(
  weights: model.Weights, request: GenerationRequest
) -> model.Weights:
  """Replace the dtype "auto" by that of the edited take, or the fastest.

  Takes record it: another processor may choose another one.
  """
  dtype = weights.config.dtype
  if dtype == "auto" and request.edit is not None:
    dtype = request.edit.take.dtype
  config = dataclasses.replace(weights.config, dtype=resolve_dtype(dtype))
  return dataclasses.replace(weights, config=config)


def batches(request: GenerationRequest) -> list[list[int]]:
  """Return the seeds of the takes that are sampled together."""
  seeds = list(request.seeds or ())
  # The edit mask of `Vary` depends on the seed: edits are sampled one by one.
  size = at_once(exact=request.exact or request.edit is not None)
  return [seeds[i : i + size] for i in range(0, len(seeds), size)]


def masked_frames(
  known_mask: Bool[np.ndarray, "t q"],
  codec: Codec,
  config: model.ModelConfig,
  loop: bool,
) -> list[list[int]]:
  """Return the frames to sample at each level, for each decoded window.

  Of scales, the last of the columns, it is the number of segments.
  """
  found = []

  def record(context, known, known_mask, valid, start):
    del context, start
    pending = valid[:, None] & ~known_mask  # [window, columns]
    counts = pending.sum(axis=0)
    if config.scale_frames:
      counts[SCALES] = pending[:: config.scale_frames, SCALES].sum()
    found.append(counts.tolist())
    return known

  codes = np.zeros(known_mask.shape, np.int32)
  decode_windows(record, codes, config, codes[None], known_mask, codec, loop)
  return found


def decode_windows(
  decode: windows.Decode,
  context: Shaped[np.ndarray, "t _"],
  config: model.ModelConfig,
  known: Int[np.ndarray, "b t q"],
  known_mask: Bool[np.ndarray, "t q"],
  codec: Codec,
  loop: bool,
) -> Int[np.ndarray, "b t q"]:
  """Decode a sound or one period of a loop; arguments as in `decode_long`."""
  inputs = (decode, context, config.window, known, known_mask)
  if loop:
    return loops.decode_loop(*inputs, round(_SEAM_SECONDS * codec.frame_rate))
  return windows.decode_long(*inputs, step=config.scale_frames or 1)


def decoder(
  weights: model.Weights,
  request: GenerationRequest,
  settings: sampling.Settings,
  seeds: Sequence[int],
  **options: Any,
) -> windows.Decode:
  """Return the function that samples a window for each seed.

  Args:
    weights: the model.
    request: a validated request, for its conditions.
    settings: settings with a guidance scale for every condition.
    seeds: one for each take.
    **options: passed on to `sampling.decode_codes`.
  """
  config, b = weights.config, len(seeds)
  ids = dict(model.CONDITION_SIZES)  # The null condition has the last id.
  for name, value in request.conditions.items():
    ids[name] = _CONDITIONS[name].index(value)

  def decode(context, known, known_mask, valid, start):
    return sampling.decode_codes(
      config,
      weights.params,
      np.repeat(context[None], b, axis=0),
      {name: np.full(b, ids[name]) for name in config.conditions},
      np.array(seeds),
      settings,
      known=known,
      known_mask=np.repeat(known_mask[None], b, axis=0),
      valid=np.repeat(valid[None], b, axis=0),
      frame_offset=start,
      programs_folder=compilation.folder(),
      **options,
    )

  return decode


def blank_context(config: model.ModelConfig) -> Shaped[np.ndarray, "t c"]:
  """Return a context of zeros of one window, codes or spectra, to time with."""
  if config.context == "spectrum":
    return np.zeros((config.window, model.SPECTRUM_BANDS), np.float32)
  return np.zeros((config.window, config.columns), np.int32)


def compile_programs(
  weights: model.Weights,
  request: GenerationRequest,
  settings: sampling.Settings,
) -> float:
  """Compile the programs of the first batch; return seconds."""
  seeds = next(iter(batches(request)), [])
  if not seeds:
    return 0.0
  config = weights.config
  window = np.zeros((config.window, config.columns), np.int32)
  decode = decoder(weights, request, settings, seeds, compile_only=True)
  with compilation.timed() as compiling:
    decode(
      blank_context(config),
      np.repeat(window[None], len(seeds), axis=0),
      np.zeros(window.shape, bool),
      np.ones(len(window), bool),
      0,
    )
  return compiling.seconds
