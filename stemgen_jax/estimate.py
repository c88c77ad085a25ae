"""What a stem will cost, before it is played."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from stemgen_jax import sampling
from stemgen_jax.sampling import cost
from stemgen_jax.stemgen import MOST_AT_ONCE as MOST_AT_ONCE
from stemgen_jax.stemgen import StemGen


class Cost(NamedTuple):
  """Of one stem: passes of the model, their operations, seconds."""

  preset: str
  takes_at_once: int
  passes: int
  flops: float
  seconds: float


def costs(
  player: StemGen, seconds: float, batches: Sequence[int], *, loop: bool = False
) -> Iterator[Cost]:
  """Costs of a stem under every preset.

  The time is that of the passes, each taken to last as long as one that is
  timed here, for every number of takes at once.

  Args:
    player: model and codec.
    seconds: length of the stem.
    batches: numbers of takes at once.
    loop: the stem is a loop.
  """
  codec, config = player.codec, player.config
  frames = codec.frames(round(seconds * codec.sample_rate))
  free = np.ones((frames, codec.levels), bool)
  windows = player.count_windows(free, loop)
  for takes in batches:
    each = _seconds_per_pass(player, takes) / takes
    for name, settings in sampling.PRESETS.items():
      settings = player.with_scales(settings)
      passes = windows * cost.passes(settings, config)
      flops = passes * cost.pass_flops(config)
      yield Cost(name, takes, passes, flops, passes * each)


def _seconds_per_pass(player: StemGen, takes: int) -> float:
  """Of a batch of takes, with two branches, as most steps have."""
  config = player.config
  settings = player.with_scales(
    dataclasses.replace(sampling.preset("default"), steps=(1,))
  )

  def decode(seed: int) -> float:
    began = time.perf_counter()
    sampling.decode_codes(
      config,
      player.params,
      np.zeros((takes, config.window, config.levels), np.int32),
      {name: np.zeros(takes, np.int32) for name in config.conditions},
      np.full(takes, seed),
      settings,
    )
    return time.perf_counter() - began

  decode(0)  # compiles
  return min(decode(1), decode(2)) / cost.passes(settings, config)


def device() -> str:
  """The device that plays, in words."""
  kind = jax.devices()[0].device_kind
  return f"{jax.default_backend()} ({kind})" if kind != "cpu" else "cpu"
