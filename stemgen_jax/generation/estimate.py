"""Estimate the cost of a stem before it is generated."""

import dataclasses
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from stemgen_jax import sampling
from stemgen_jax.generation import context, engine, sampler
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import cost

_MOST_MEASURED = 5.0  # seconds of audio for the codec


class Cost(NamedTuple):
  """Passes of the model, operations and seconds of one stem."""

  settings: str
  takes_at_once: int
  passes: int
  flops: float
  seconds: float


def costs(
  stemgen: StemGen,
  seconds: float,
  batches: Sequence[int],
  settings: Mapping[str, sampling.Settings],
  *,
  given: Collection[str] = ("category",),
  loop: bool = False,
) -> Iterator[Cost]:
  """Estimate costs of a stem under several settings.

  The time is the number of passes times the duration of one, which is measured
  for every number of takes at once.

  Args:
    stemgen: model and codec.
    seconds: length of the stem.
    batches: numbers of takes at once.
    settings: settings by name, such as `sampling.PRESETS`.
    given: names of the conditions that have a value.
    loop: the stem is a loop.

  Raises:
    ValueError: a loop, for a codec that encodes segments.
  """
  codec, config = stemgen.codec, stemgen.config
  frames = context.count_frames(codec, seconds, loop=loop)
  known_mask = np.zeros((frames, config.columns), bool)  # all are sampled
  masked = sampler.masked_frames(known_mask, codec, config, loop)
  for takes in batches:
    seconds_per_pass = _seconds_per_pass(stemgen, takes) / takes  # of one take
    for name, numbers in settings.items():
      numbers = engine.with_guidance(numbers, config.conditions, given)
      passes = sum(cost.passes(numbers, config, each) for each in masked)
      flops = passes * cost.pass_flops(config)
      yield Cost(name, takes, passes, flops, passes * seconds_per_pass)


def _seconds_per_pass(stemgen: StemGen, takes: int) -> float:
  """Time a pass of a batch of takes with two branches, as most steps have."""
  config = stemgen.config
  settings = engine.with_guidance(
    dataclasses.replace(sampling.preset("default"), steps=(1,)),
    config.conditions,
  )
  contexts = np.repeat(sampler.blank_context(config)[None], takes, axis=0)

  def decode(seed: int) -> float:
    began = time.perf_counter()
    sampling.decode_codes(
      config,
      stemgen.params,
      contexts,
      {name: np.zeros(takes, np.int32) for name in config.conditions},
      np.full(takes, seed),
      settings,
    )
    return time.perf_counter() - began

  decode(0)  # compiles
  # The shorter of two: other processes can only slow a pass down.
  return min(decode(1), decode(2)) / cost.passes(settings, config)


def codec_seconds(stemgen: StemGen, seconds: float) -> float:
  """Estimate the seconds of work to encode a context and decode a stem.

  Measured on silence of at most 5 s, and scaled to the length.

  Args:
    stemgen: model and codec.
    seconds: length of the stem.
  """
  codec = stemgen.codec
  measured = min(seconds, _MOST_MEASURED)
  shape = (1, round(measured * codec.sample_rate), codec.channels)

  def convert() -> float:
    began = time.perf_counter()
    codec.decode(codec.encode(np.zeros(shape, np.float32)))
    return time.perf_counter() - began

  convert()  # The first call also allocates.
  return convert() * seconds / measured


def device() -> str:
  """Return the name of the device for display."""
  kind = jax.devices()[0].device_kind
  return f"{jax.default_backend()} ({kind})" if kind != "cpu" else "cpu"
