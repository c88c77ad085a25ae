"""Batches of codes: Grain over the records of prepared data sets.

The order of a run is a function of its seed, the same on any number of
processes: each takes its rows of every global batch.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import grain
import numpy as np

from stemgen_jax.data.crops import Crop
from stemgen_jax.data.examples import Examples
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.mixture import Mixture
from stemgen_jax.data.order import Order
from stemgen_jax.data.records import Records

__all__ = ["Examples", "Manifest", "Mixture", "batches", "eval_examples"]

_ENDLESS = 1 << 48  # batches


def batches(
  data: str | os.PathLike | Mixture,
  split: str,
  *,
  batch: int,
  window: int,
  seed: int,
  shard_index: int = 0,
  shard_count: int = 1,
  min_active: float = 0.25,
  threads: int = 2,
  prefetch: int = 4,
) -> grain.DatasetIterator:
  """Return endless shuffled batches of random crops.

  Args:
    data: prepared folder, or several by weight: any few consecutive examples
      have each of them as often as its weight asks.
    split: "train", "valid" or "test".
    batch: examples of a global batch, over all shards.
    window: frames of a crop.
    seed: seed of order and crops.
    shard_index: index of this process, below `shard_count`.
    shard_count: number of processes that share a batch.
    min_active: share of a crop, 0..1, in which context and target must sound
      together; a record without such a crop gives its most active one.
    threads: number of threads that read ahead.
    prefetch: number of batches that are read ahead.

  Returns:
    An iterator of dicts: `context` and `target` int32 [b, window, q],
    `category`, `genre`, `role` and `song` (a hash of its id) int32 [b],
    with b = batch / shard_count; shard i has rows i * b to (i + 1) * b of the
    global batch. Its `get_state()` counts global batches: a run resumes
    exactly, on any number of processes.

  Raises:
    FileNotFoundError: no finished data set in a folder.
    ValueError: unknown or empty split, a window longer than the records, a
      batch that the shards cannot share, data sets of different codecs.
  """
  if batch < 1 or batch % shard_count:
    raise ValueError(
      f"batch is {batch}, expected a multiple of the {shard_count} processes"
    )
  if not 0 <= shard_index < shard_count:
    raise ValueError(f"shard {shard_index} is not below {shard_count}")
  mixture = data
  if not isinstance(mixture, Mixture):
    mixture = Mixture((os.fspath(mixture),), (1.0,))
  mixture.manifest()  # raises for codes of different codecs
  parts = [_open(folder, split, window) for folder in mixture.folders]
  share = batch // shard_count
  source: Any = _Batches(
    records=parts,
    order=Order([len(part) for part in parts], mixture.weights, seed),
    crops=[
      Crop(window, part.manifest.frame_rate, min_active) for part in parts
    ],
    seed=seed,
    batch=batch,
    rows=range(shard_index * share, (shard_index + 1) * share),
  )
  # Grain counts elements, here global batches, so its state does not depend on
  # the number of processes.
  dataset = grain.MapDataset.source(source)
  return iter(dataset.to_iter_dataset(grain.ReadOptions(threads, prefetch)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Batches:
  """A Grain source: element i is this process's rows of global batch i.

  Grain gets whole batches, because its overhead per element is longer than
  the time to read an example. Every process draws the random numbers of the
  whole batch, so that they do not depend on the number of processes.
  """

  records: Sequence[Records]
  order: Order
  crops: Sequence[Crop]
  seed: int
  batch: int
  rows: range

  def __len__(self) -> int:
    return _ENDLESS

  def __getitem__(self, number: int) -> dict[str, np.ndarray]:
    u = np.random.default_rng((self.seed, number)).random(self.batch)
    examples = []
    for row in self.rows:
      part, index = self.order[number * self.batch + row]
      examples.append(self.crops[part](self.records[part][index], u[row]))
    return _stack(examples)  # [b, ...]


def _stack(rows: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
  """Stack examples to a batch; whole numbers become int32."""
  batch = {}
  for name, first in rows[0].items():
    whole = np.asarray(first).dtype.kind in "iu"
    dtype = np.int32 if whole else np.float32
    batch[name] = np.stack([row[name] for row in rows], dtype=dtype)
  return batch


def eval_examples(
  data_dir: str | os.PathLike,
  split: str,
  window: int,
  count: int,
  seed: int = 0,
) -> Examples:
  """Return a fixed list of examples of a split, from many songs.

  Every song gives one example before any gives a second; pairs with an empty
  context are left out. The same arguments give the same examples.

  Args:
    data_dir: prepared folder.
    split: "train", "valid" or "test".
    window: frames of an example.
    count: number of examples.
    seed: seed of the choice.

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
    ValueError: as `batches`, or the split has fewer than `count` such pairs.
  """
  records = _open(data_dir, split, window)
  manifest = records.manifest
  rng = np.random.default_rng(seed)
  # `first` has one example per song, `further` has the rest.
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
      f"{count} examples requested: split {split!r} of {data_dir} has "
      f"{len(chosen)} pairs with a context; request at most as many (evaluate: "
      "--examples), or add songs"
    )
  crop = Crop(
    window,
    manifest.frame_rate,
    min_active=0.5,
    segment_frames=manifest.segment_frames,
  )

  batch = _stack([crop(record, rng.random()) for record in chosen])
  names = ("context", "target", "category", "genre", "role")
  return Examples(
    **{name: batch[name] for name in names},
    song=np.array([record["song_id"].decode() for record in chosen]),
    silence=manifest.silence[:window],
    codec=manifest.codec,
    checksum=manifest.checksum,
    target_scales=batch.get("target_scales"),
  )


def _open(data_dir: str | os.PathLike, split: str, window: int) -> Records:
  """Open the records of a split; they must fill the window."""
  records = Records(data_dir, split)
  frames = records.manifest.frames
  if not 1 <= window <= frames:
    raise ValueError(
      f"window is {window} frames, the records of {data_dir} have "
      f"{frames}: shorten the window or prepare longer segments"
    )
  return records
