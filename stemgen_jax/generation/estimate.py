"""What a stem will cost, before it is played."""

import dataclasses
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from stemgen_jax import sampling
from stemgen_jax.generation import context
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import cost


class Cost(NamedTuple):
  """Of one stem: passes of the model, their operations, seconds."""

  settings: str
  takes_at_once: int
  passes: int
  flops: float
  seconds: float


def costs(
  player: StemGen,
  seconds: float,
  batches: Sequence[int],
  settings: Mapping[str, sampling.Settings],
  *,
  given: Collection[str] = ("category",),
  loop: bool = False,
) -> Iterator[Cost]:
  """Costs of a stem under several settings, such as `sampling.PRESETS`.

  The time is that of the passes, each taken to last as long as one that is
  timed here, for every number of takes at once.

  Args:
    player: model and codec.
    seconds: length of the stem.
    batches: numbers of takes at once.
    settings: by the name that the costs shall have.
    given: names of the conditions that the stem is asked for with.
    loop: the stem is a loop.

  Raises:
    ValueError: a loop, for a codec that has segments of its own.
  """
  codec, config = player.codec, player.config
  frames = context.count_frames(codec, seconds, loop=loop)
  free = np.ones((frames, codec.levels), bool)
  windows = player.count_windows(free, loop)
  for takes in batches:
    each = _seconds_per_pass(player, takes) / takes
    for name, numbers in settings.items():
      numbers = player.with_scales(numbers, given)
      passes = windows * cost.passes(numbers, config)
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
