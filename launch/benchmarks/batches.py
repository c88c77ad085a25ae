"""Count examples per second read from disk."""

import argparse
import pathlib
import tempfile
import time

import numpy as np

from stemgen_jax.data import batches
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import packing, song_codes

# The paper's run (arXiv 2312.08723, section 3) on a current GPU.
_RUN_FLOPS = 1.05e19
_RUN_EXAMPLES = 150_000 * 40
_PEAK_FLOPS = 989e12  # an H100's, dense bf16
_UTILISATION = 0.4
_BATCH, _WINDOW = 40, 1000

# Codes per song: 24 segments of 60 s at 50 frames/s, as EnCodec 32 kHz.
_SEGMENTS, _FRAMES, _LEVELS, _CODES = 24, 3000, 4, 2048


def run(arguments: argparse.Namespace) -> None:
  """Compare the reading of batches with a GPU's consumption."""
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
      relative_db=np.zeros(_SEGMENTS, np.float32),
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
