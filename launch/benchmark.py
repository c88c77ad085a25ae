"""Measure parts of the system: python launch/benchmark.py PART [--help].

batches    examples per second read from disk, against a GPU's consumption
codec      processing time per second of audio; below 1 is faster than real time
kernels    bytes moved by one sampling step after the last layer
agreement  share of equal codes between batched and sequential sampling
"""

import argparse
import dataclasses
import itertools
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from stemgen_jax import audio, codec, sampling
from stemgen_jax.codec import weight_files
from stemgen_jax.data import batches
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import packing, song_codes
from stemgen_jax.generation import estimate
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.paths import LOOPS

# The paper's run (arXiv 2312.08723, section 3) on a current GPU.
_RUN_FLOPS = 1.05e19
_RUN_EXAMPLES = 150_000 * 40
_PEAK_FLOPS = 989e12  # an H100's, dense bf16
_UTILISATION = 0.4
_BATCH, _WINDOW = 40, 1000

# Codes per song: 24 segments of 60 s at 50 frames/s, as EnCodec 32 kHz.
_SEGMENTS, _FRAMES, _LEVELS, _CODES = 24, 3000, 4, 2048

_CODECS = ("demo", *weight_files.PUBLISHED)
_ROUNDS = 3


def main() -> None:
  """Run one part of the benchmark."""
  arguments = parser().parse_args()
  arguments.run(arguments)


def parser() -> argparse.ArgumentParser:
  """Return the parser of the command line, one subcommand per part."""
  whole = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parts = whole.add_subparsers(dest="part", required=True)
  part = parts.add_parser("batches", help="examples per second from disk")
  part.add_argument(
    "--data", help="prepared folder; default: random codes in the paper's shape"
  )
  part.add_argument("--seconds", type=float, default=10.0)
  part.add_argument("--threads", type=int, default=2)
  part.set_defaults(run=_batches)
  part = parts.add_parser("codec", help="real-time factors of the codecs")
  part.add_argument("--codecs", default=",".join(_CODECS))
  part.add_argument("--seconds", type=float, default=5.0, help="audio length")
  part.add_argument("--threads", default="1,2")
  part.set_defaults(run=_codec)
  part = parts.add_parser("kernels", help="bytes moved by one sampling step")
  part.add_argument("--width", type=int, default=1024)
  part.add_argument("--frames", type=int, default=1000)
  part.set_defaults(run=_kernels)
  part = parts.add_parser(
    "agreement", help="batched against sequential sampling"
  )
  part.add_argument("--weights", default="demo")
  part.add_argument("--takes", type=int, default=8)
  part.add_argument("--preset", default="default")
  part.add_argument("--steps", help="steps per level, such as 16,8,4,4")
  part.set_defaults(run=_agreement)
  return whole


def _batches(arguments: argparse.Namespace) -> None:
  with tempfile.TemporaryDirectory() as folder:
    data = arguments.data or _random_codes(pathlib.Path(folder, "codes"))
    frames = Manifest.load(data).frames
    iterator = batches.batches(
      data,
      "train",
      batch=_BATCH,
      window=min(_WINDOW, frames),
      seed=0,
      threads=arguments.threads,
    )
    for _ in range(20):  # drain the read-ahead and the first calls
      next(iterator)
    examples, wall, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < arguments.seconds:
      next(iterator)
      examples += _BATCH
    wall = time.perf_counter() - wall
    used = time.process_time() - used
  consumed = _PEAK_FLOPS * _UTILISATION / (_RUN_FLOPS / _RUN_EXAMPLES)
  print(
    f"{examples / wall:.0f} examples/s of {min(_WINDOW, frames)} frames "
    f"({1e6 * used / examples:.0f} us of processor time each: "
    f"{examples / used:.0f} per second and core)\n"
    f"the 250M model consumes {consumed:.0f} examples/s on one H100: "
    f"{examples / wall / consumed:.1f} times that, "
    f"{examples / used / consumed:.1f} times per core"
  )


def _random_codes(out: pathlib.Path) -> pathlib.Path:
  """Write a data set of random codes in the paper's shape."""
  (out / "songs").mkdir(parents=True)
  rng = np.random.default_rng(0)
  ids = [f"song {number}" for number in range(40)]
  codes = (_SEGMENTS, _FRAMES, _LEVELS)
  whole = np.arange(_SEGMENTS, dtype=np.int32)  # one pair per segment
  for song_id in ids:
    # [2, segment, second]: stems change between sound and silence every 5 s.
    active = np.repeat(rng.random((2, _SEGMENTS, 12)) < 0.8, 5, axis=2)
    song_codes.SongCodes(
      context=rng.integers(_CODES, size=codes).astype(np.uint16),
      target=rng.integers(_CODES, size=codes).astype(np.uint16),
      context_active=active[0],
      target_active=active[1],
      gains=np.ones((_SEGMENTS, 8), np.float32),
      context_rms_db=np.full(_SEGMENTS, -20, np.float32),
      stem=0 * whole,
      category=whole % 18,
      genre=0 * whole,
      role=0 * whole,
      segment=whole,
      index=0 * whole,
      start=60 * whole.astype(np.float32),
    ).save(song_codes.song_path(out / "songs", song_id))
  config = packing.StemCodesConfig(
    name="random_codes",
    songs={"train": ids},
    folder=out / "songs",
    levels=_LEVELS,
  )
  builder = packing.StemCodes(
    data_dir=out, file_format="array_record", config=config
  )
  packing.pack(builder)
  pairs = len(ids) * _SEGMENTS
  Manifest(
    name=config.name,
    records=str(pathlib.Path(builder.data_dir).relative_to(out)),
    codec="random",
    checksum="",
    sample_rate=32_000,
    channels=1,
    frame_rate=50.0,
    levels=_LEVELS,
    codes=_CODES,
    segment_seconds=60.0,
    frames=_FRAMES,
    counts={"train": {"songs": len(ids), "pairs": pairs, "empty": 0}},
    categories={},
    context_rms_db=-20.0,
    config={},
    versions={},
    codebooks=np.zeros((_LEVELS, _CODES, 1), np.float32),
    silence=np.zeros((_FRAMES, _LEVELS), np.int32),
  ).save(out)
  return out


def _codec(arguments: argparse.Namespace) -> None:
  # The same allocator settings as the workers of `prepare`: without them every
  # large buffer is returned to the system and faulted in again.
  kept = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
  if any(name not in os.environ for name in kept):
    os.environ |= {name: str(1 << 33) for name in kept}
    os.execv(sys.executable, [sys.executable, *sys.argv])
  import torch

  rng = np.random.default_rng(0)
  print(f"{'codec':<16}{'threads':>8}{'encode':>8}{'decode':>8}  weights")
  for name in arguments.codecs.split(","):
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


def _kernels(arguments: argparse.Namespace) -> None:
  from stemgen_jax.sampling.kernels import mosaic_tpu

  print(
    "MB per step: plain path, XLA's count on this backend, kernel, fused head\n"
    "| branches | batch | codes | plain | counted | kernel | fused head |\n"
    "|---:|---:|---:|---:|---:|---:|---:|"
  )
  d = arguments.width
  for n, b, v in itertools.product((1, 2, 3), (1, 8), (1024, 2048)):
    r = b * arguments.frames  # rows of all examples
    features, head, logits = 2 * n * r * d, 2 * d * v, 4 * n * r * v
    # Inputs: keys and order; outputs: code, log-probability and rank.
    small = 24 * r
    written = features + head + logits
    # The guided logits are written once, and read for the draw, the maximum
    # and the sum.
    plain = written + logits + 4 * 4 * r * v + small
    blocks = -(-r // mosaic_tpu.HEAD_BLOCK[0])
    row = (
      plain,
      _counted(n, b, arguments.frames, v, d),
      written + logits + small,
      features + blocks * head + small,
    )
    megabytes = " | ".join(f"{count / 1e6:.0f}" for count in row)
    print(f"| {n} | {b} | {v} | {megabytes} |")


def _counted(n: int, b: int, t: int, v: int, d: int) -> float:
  """Return XLA's bytes accessed of the plain path on this backend."""
  import jax
  import jax.numpy as jnp

  from stemgen_jax.sampling import kernels

  def pick(values, head, weights, temperature, keys, order, w_confidence):
    return kernels.pick(
      kernels.REFERENCE,
      values,
      weights,
      temperature,
      keys,
      order,
      w_confidence,
      rank="gumbel",
      codes=v,
      head=head,
    )

  def array(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)

  analysis = (
    jax.jit(pick)
    .lower(
      array(n * b, t, d, dtype=jnp.bfloat16),
      array(d, v, dtype=jnp.bfloat16),
      array(n),
      array(),
      array(b, t, dtype=jax.random.key(0).dtype),
      array(b, t),
      array(),
    )
    .compile()
    .cost_analysis()
  )
  return (analysis or {})["bytes accessed"]


def _agreement(arguments: argparse.Namespace) -> None:
  """Compare batched sampling with --exact; they differ on accelerators."""
  stemgen = StemGen.load(arguments.weights)
  context = audio.read(LOOPS / "chords.flac")
  settings = sampling.preset(arguments.preset)
  if arguments.steps:
    steps = tuple(map(int, arguments.steps.split(",")))
    settings = dataclasses.replace(settings, steps=steps)
  seeds = list(range(arguments.takes))

  def codes(exact: bool) -> np.ndarray:
    takes = stemgen.takes(
      context, "bass", seeds, settings=settings, exact=exact
    )
    return np.stack([take.codes for take in takes])  # [takes, t, q]

  together, alone = codes(exact=False), codes(exact=True)
  same = together == alone  # [takes, t, q]
  print(
    f"{len(seeds)} takes of {same.shape[1]} frames on {estimate.device()}: "
    f"{same.all((1, 2)).sum()} are equal in all codes"
  )
  for level in range(same.shape[2]):
    print(f"level {level}: {100 * same[..., level].mean():.3f} % of the codes")


def _fastest(work: Callable[[], object]) -> float:
  """Return the shortest duration of `_ROUNDS` calls, in seconds."""
  times = []
  for _ in range(_ROUNDS):
    began = time.perf_counter()
    work()
    times.append(time.perf_counter() - began)
  return min(times)


if __name__ == "__main__":
  main()
