"""Measure the real-time factors of the codecs."""

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from stemgen_jax import codec
from stemgen_jax.codec import weight_files

_ROUNDS = 3


def run(arguments: argparse.Namespace) -> None:
  """Encode and decode noise with each codec."""
  # The same allocator settings as the workers of `prepare`: without them every
  # large buffer is returned to the system and faulted in again.
  kept = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
  if any(name not in os.environ for name in kept):
    os.environ |= {name: str(1 << 33) for name in kept}
    os.execv(sys.executable, [sys.executable, *sys.argv])
  import torch

  rng = np.random.default_rng(0)
  print(f"{'codec':<16}{'threads':>8}{'encode':>8}{'decode':>8}  weights")
  names = arguments.codecs or ",".join(("demo", *weight_files.PUBLISHED))
  for name in names.split(","):
    tested, weights = _load_or_random(name)
    # [b, samples, channels]
    shape = (1, round(arguments.seconds * tested.sample_rate), tested.channels)
    sound = 0.1 * rng.standard_normal(shape, np.float32)
    codes = tested.encode(sound)  # also the warm-up
    for threads in map(int, arguments.threads.split(",")):
      torch.set_num_threads(threads)
      encode = _fastest(lambda t=tested, x=sound: t.encode(x))
      decode = _fastest(lambda t=tested, x=codes: t.decode(x))
      print(
        f"{name:<16}{threads:>8}{encode / arguments.seconds:>8.3f}"
        f"{decode / arguments.seconds:>8.3f}  {weights}"
      )


def _load_or_random(name: str) -> tuple[codec.Codec, str]:
  """Load a codec; without its weights use random ones (equally fast)."""
  if name in weight_files.PUBLISHED and not weight_files.cached(name):
    from stemgen_jax.codec import networks, published

    network = networks.Network(published.CONFIGS[name])
    return published.codec_of(name, network, ""), "random: not in the cache"
  return codec.load(name), "trained"


def _fastest(work: Callable[[], object]) -> float:
  """Return the shortest duration of `_ROUNDS` calls, in seconds."""
  times = []
  for _ in range(_ROUNDS):
    began = time.perf_counter()
    work()
    times.append(time.perf_counter() - began)
  return min(times)
