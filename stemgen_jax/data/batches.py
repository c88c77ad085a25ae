"""Codes on disk into batches: Grain over the records of `stem_codes`.

The order of a run is a function of its seed, the same on any number of
processes: each takes its rows of every global batch. Crops are chosen when
loaded, from the activity per second that the records carry.
"""

import dataclasses
import os
import pathlib
import zlib
from typing import Any

import grain
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Bool, Float

from stemgen_jax.data.examples import Examples
from stemgen_jax.data.manifest import Manifest

__all__ = ["Examples", "Manifest", "batches", "eval_examples"]


def batches(
  data_dir: str | os.PathLike,
  split: str,
  *,
  batch: int,
  window: int,
  seed: int,
  shard_index: int = 0,
  shard_count: int = 1,
  min_active: float = 0.25,
  threads: int = 2,
  prefetch: int = 16,
) -> grain.DatasetIterator:
  """Endless shuffled batches of random crops.

  Args:
    data_dir: a prepared folder.
    split: "train", "valid" or "test".
    batch: examples of a global batch, over all shards.
    window: frames of a crop.
    seed: of order and crops.
    shard_index: this process, below `shard_count`.
    shard_count: number of processes that share a batch.
    min_active: share of a crop in which context and target sound together;
      where no crop of a record has that much, the crop that has most.
    threads: that read ahead.
    prefetch: examples read ahead.

  Returns:
    An iterator of dicts: `context` and `target` int32 [b, window, q],
    `category` and `genre` int32 [b], `song` int32 [b] (a hash of its id),
    with b = batch / shard_count. Its `get_state()` counts global batches: a
    run resumes exactly, on any number of processes.

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
    ValueError: unknown or empty split, a window longer than the records, a
      batch that the shards cannot share.
  """
  manifest, records = _open(data_dir, split, window)
  if batch < 1 or batch % shard_count:
    raise ValueError(
      f"batch is {batch}, expected a multiple of the {shard_count} processes"
    )
  if not 0 <= shard_index < shard_count:
    raise ValueError(f"shard {shard_index} is not below {shard_count}")
  dataset = (
    grain.MapDataset.source(records)
    .seed(seed)
    .shuffle()
    .repeat()
    .random_map(_Crop(window, manifest.frame_rate, min_active))[
      # After the crops: these are then drawn alike on any number of shards.
      shard_index::shard_count
    ]
    .batch(batch // shard_count, drop_remainder=True)
  )
  return iter(dataset.to_iter_dataset(grain.ReadOptions(threads, prefetch)))


@dataclasses.dataclass(frozen=True)
class _Crop(grain.transforms.RandomMap):
  """One record -> one example: a random active crop of it."""

  window: int
  frame_rate: float
  min_active: float

  def random_map(self, element: Any, rng: np.random.Generator) -> Any:
    """Crops a record."""
    shares = active_shares(
      element["context_active"],
      element["target_active"],
      window=self.window,
      frames=len(element["target"]),
      frame_rate=self.frame_rate,
    )
    wanted = min(self.min_active, float(shares.max()))
    start = int(rng.choice(np.flatnonzero(shares >= wanted)))
    stop = start + self.window
    return {
      "context": element["context"][start:stop].astype(np.int32),
      "target": element["target"][start:stop].astype(np.int32),
      "category": np.int32(element["category"]),
      "genre": np.int32(element["genre"]),
      "song": np.int32(zlib.crc32(element["song_id"]) >> 1),
    }


def active_shares(
  context_active: Bool[np.ndarray, " seconds"],
  target_active: Bool[np.ndarray, " seconds"],
  *,
  window: int,
  frames: int,
  frame_rate: float,
) -> Float[np.ndarray, " starts"]:
  """Share of each crop, by its first frame, in which both are active.

  An empty context is never active: there the target alone decides.
  """
  both = target_active
  if context_active.any():
    both = target_active & context_active
  second = (np.arange(frames) / frame_rate).astype(int).clip(max=len(both) - 1)
  total = np.concatenate([[0], np.cumsum(both[second])])
  return (total[window:] - total[:-window]) / window


def eval_examples(
  data_dir: str | os.PathLike,
  split: str,
  window: int,
  count: int,
  seed: int = 0,
) -> Examples:
  """A fixed list of examples of a split, from as many songs as possible.

  Every song gives one example before any gives a second; pairs with an empty
  context are left out. The same arguments give the same examples.

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
    ValueError: as `batches`, or the split has fewer than `count` such pairs.
  """
  manifest, records = _open(data_dir, split, window)
  rng = np.random.default_rng(seed)
  first, further, seen = [], [], set()
  for number in rng.permutation(len(records)):
    record = records[int(number)]
    if not record["context_active"].any():
      continue
    (further if record["song_id"] in seen else first).append(record)
    seen.add(record["song_id"])
    if len(first) == count:
      break
  chosen = (first + further)[:count]
  if count < 1 or len(chosen) < count:
    raise ValueError(
      f"{count} examples are wanted, split {split!r} of {data_dir} has "
      f"{len(chosen)} pairs with a context"
    )
  crop = _Crop(window, manifest.frame_rate, min_active=0.5)
  rows = [crop.random_map(record, rng) for record in chosen]
  return Examples(
    context=np.stack([row["context"] for row in rows]),
    target=np.stack([row["target"] for row in rows]),
    category=np.stack([row["category"] for row in rows]),
    genre=np.stack([row["genre"] for row in rows]),
    song=np.array([record["song_id"].decode() for record in chosen]),
    silence=manifest.silence[:window],
    codec=manifest.codec,
    checksum=manifest.checksum,
  )


def _open(data_dir: str | os.PathLike, split: str, window: int):
  """The manifest and the records of a split that can fill the window."""
  manifest = Manifest.load(data_dir)
  if not manifest.counts.get(split, {}).get("pairs"):
    known = [name for name, count in manifest.counts.items() if count["pairs"]]
    raise ValueError(
      f"{data_dir} has no pairs in split {split!r}, only in {', '.join(known)}"
    )
  if not 1 <= window <= manifest.frames:
    raise ValueError(
      f"window is {window} frames, the records of {data_dir} have "
      f"{manifest.frames}: shorten the window or prepare longer segments"
    )
  builder: Any = tfds.builder_from_directory(
    pathlib.Path(data_dir, manifest.records)
  )
  return manifest, builder.as_data_source(split)
