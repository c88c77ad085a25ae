"""Batches of codes: Grain over the records of prepared data sets.

The order of a run is a function of its seed, the same on any number of
processes: each takes its rows of every global batch.
"""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import grain
import numpy as np

from stemgen_jax import disk
from stemgen_jax.audio.spectrum import log_magnitudes
from stemgen_jax.data.beats import Beats
from stemgen_jax.data.crops import Crop
from stemgen_jax.data.examples import Examples
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.mixture import Mixture
from stemgen_jax.data.order import BalancedOrder, Order
from stemgen_jax.data.records import Records, StemRecords
from stemgen_jax.data.stem_index import StemIndex
from stemgen_jax.data.submix import Submix, mix, stem_weights
from stemgen_jax.model import scales as scales_lib

__all__ = ["Examples", "Manifest", "Mixture", "batches", "eval_examples"]

Seed = tuple[int, ...]
_ENDLESS = 1 << 48  # batches


def batches(
  data: disk.Path | Mixture,
  split: str,
  *,
  batch: int,
  window: int,
  seed: int,
  shard_index: int = 0,
  shard_count: int = 1,
  min_active: float = 0.25,
  contexts: str = "codes",
  category_power: float = 1.0,
  gain_db: float = 0.0,
  augment: bool = False,
  scale_frames: int = 0,
  beats: bool = False,
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
    contexts: "codes", or "spectrum" for fresh submixes of the stems of a set
      that was prepared with `--contexts=spectrum`.
    category_power: power of the number of a category's targets that its draws
      are proportional to; with 1 and codes every record is seen once before any
      is seen again.
    gain_db: see `submix.Submix`.
    augment: see `submix.Submix`.
    scale_frames: `ModelConfig.scale_frames`: crops begin with a segment, and
      `context` and `target` have the column of scale tokens.
    beats: add the place in the bar of every frame, see `Beats.places`.
    threads: number of threads that read ahead.
    prefetch: number of batches that are read ahead.

  Returns:
    An iterator of dicts: `context` and `target` int32 [b, window, q] (with
    spectrum contexts, `context` float32 [b, window, bands]),
    `category`, `genre`, `role` and `song` (a hash of its id) int32 [b], with
    `beats` also `place` int32 [b, window], with b = batch / shard_count; shard
    i has rows i * b to (i + 1) * b of the global batch. Its `get_state()`
    counts global batches: a run resumes exactly, on any number of processes.

  Raises:
    FileNotFoundError: no finished data set in a folder.
    ValueError: unknown or empty split, a window longer than the records, a
      batch that the shards cannot share, data sets of different codecs,
      without spectra or without beats.
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
  mixture.manifest()  # raises if the data sets do not fit together
  parts: list[_Part] = []
  for folder in mixture.folders:
    records = _open(folder, split, window)
    crop = Crop(
      window,
      records.manifest.frame_rate,
      min_active,
      scale_frames,
      Beats.load(folder) if beats else None,
    )
    if contexts == "codes":
      parts.append(_Pairs(records, crop))
    else:
      manifest = records.manifest
      parts.append(_stems(folder, split, manifest, crop, gain_db, augment))
  if category_power == 1:
    order = Order([len(part) for part in parts], mixture.weights, seed)
  else:
    order = BalancedOrder(
      [part.categories() for part in parts],
      mixture.weights,
      seed,
      category_power,
    )
  share = batch // shard_count
  source: Any = _Batches(
    parts=parts,
    order=order,
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

  parts: "Sequence[_Part]"
  order: Order | BalancedOrder
  seed: int
  batch: int
  rows: range

  def __len__(self) -> int:
    return _ENDLESS

  def __getitem__(self, number: int) -> dict[str, np.ndarray]:
    u = np.random.default_rng((self.seed, number)).random(self.batch)
    examples = []
    for row in self.rows:
      position = number * self.batch + row
      part, index = self.order[position]
      seed = (self.seed, 2, position)
      examples.append(self.parts[part].example(index, u[row], seed))
    return _stack(examples)  # [b, ...]


@dataclasses.dataclass(frozen=True)
class _Pairs:
  """Pairs of context and target as they were prepared."""

  records: Records
  crop: Crop

  def __len__(self) -> int:
    return len(self.records)

  def categories(self) -> np.ndarray:
    return np.array([record["category"] for record in self.records], np.int32)

  def example(self, index: int, u: float, seed: Seed) -> dict[str, Any]:
    del seed
    example = self.crop(self.records[index], u)
    if frames := self.crop.segment_frames:
      for name in ("context", "target"):
        scales = example.pop(f"{name}_scales")
        example[name] = scales_lib.join(example[name], scales, frames)
    return example


@dataclasses.dataclass(frozen=True)
class _Stems:
  """Possible targets, each with a fresh submix of the other stems."""

  records: StemRecords
  index: StemIndex
  submix: Submix

  def __len__(self) -> int:
    return len(self.index.record)

  def categories(self) -> np.ndarray:
    return self.index.category

  def example(self, index: int, u: float, seed: Seed) -> dict[str, Any]:
    del u
    record = self.records[int(self.index.record[index])]
    rng = np.random.default_rng(seed)
    return self.submix(record, int(self.index.stem[index]), rng)


_Part = _Pairs | _Stems


def _stems(
  folder: disk.Path,
  split: str,
  manifest: Manifest,
  crop: Crop,
  gain_db: float,
  augment: bool,
) -> _Stems:
  if not manifest.stems:
    raise ValueError(
      f"{folder} has no spectra of stems: prepare it with --contexts=spectrum, "
      "or train with model.context=codes"
    )
  config = manifest.config["pairs"]
  submix = Submix(
    crop=crop,
    sample_rate=manifest.sample_rate,
    subset_sizes=config["subset_sizes"],
    empty_share=config["empty_share"],
    gain_db=gain_db,
    augmented=augment,
  )
  records = StemRecords(pathlib.Path(folder, manifest.stems), split)
  return _Stems(records, StemIndex.load(folder, split), submix)


def with_other_context(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Return a batch with the context of an example of another song for each.

  Adds `other_context`, as `context`, and `has_other` int32 [b], which is 0
  where no example is of another song. A batch of one song stays as it is.
  """
  song, b = batch["song"], len(batch["song"])
  # Candidates of row i in the order i + b / 2, i + b / 2 + 1, ...
  order = (np.arange(b)[:, None] + b // 2 + np.arange(b)) % b  # [b, b]
  differs = song[order] != song[:, None]
  if not differs.any():
    return batch
  other = order[np.arange(b), differs.argmax(axis=1)]
  return batch | {
    "other_context": batch["context"][other],
    "has_other": differs.any(axis=1).astype(np.int32),
  }


def _stack(rows: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
  """Stack examples to a batch; whole numbers become int32."""
  batch = {}
  for name, first in rows[0].items():
    whole = np.asarray(first).dtype.kind in "iu"
    dtype = np.int32 if whole else np.float32
    batch[name] = np.stack([row[name] for row in rows], dtype=dtype)
  return batch


def eval_examples(
  data_dir: disk.Path,
  split: str,
  window: int,
  count: int,
  seed: int = 0,
  skip: Collection[str] = (),
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
    skip: ids of songs to leave out; the examples may be fewer then.

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
    if not record["context_active"].any() or record["song_id"].decode() in skip:
      continue
    (further if record["song_id"] in seen else first).append(record)
    seen.add(record["song_id"])
    if len(first) == count:
      break
  chosen = (first + further)[:count]
  if skip and chosen:
    count = len(chosen)
  if count < 1 or len(chosen) < count:
    raise ValueError(
      f"{count} examples requested: split {split!r} of {data_dir} has "
      f"{len(chosen)} pairs with a context; give --examples={len(chosen)} or "
      "fewer, or add songs to it (band: prepare --test_songs, --valid_songs)"
    )
  crop = Crop(
    window,
    manifest.frame_rate,
    min_active=0.5,
    segment_frames=manifest.segment_frames,
  )

  places = [rng.random() for _ in chosen]
  batch = _stack([crop(record, u) for record, u in zip(chosen, places)])
  spectra = None
  if manifest.stems:
    stems = StemRecords(pathlib.Path(data_dir, manifest.stems), split)
    index = StemIndex.load(data_dir, split)
    spectra = np.stack(
      [
        _context_spectrum(
          record,
          stems[index.find(record["song_id"].decode(), record["start"])],
          crop.first_frame(record, u),
          window,
        )
        for record, u in zip(chosen, places)
      ]
    )
  names = ("context", "target", "category", "genre", "role")
  return Examples(
    **{name: batch[name] for name in names},
    song=np.array([record["song_id"].decode() for record in chosen]),
    silence=manifest.silence[:window],
    codec=manifest.codec,
    checksum=manifest.checksum,
    context_scales=batch.get("context_scales"),
    target_scales=batch.get("target_scales"),
    spectrum=spectra,
  )


def _context_spectrum(
  pair: dict[str, Any], record: dict[str, Any], first: int, window: int
) -> np.ndarray:
  """Return the spectrum of a pair's context, float32 [window, bands]."""
  stems = np.flatnonzero(pair["gains"]).tolist()
  gains_db = 20 * np.log10(pair["gains"][stems].astype(np.float64))
  weights = stem_weights(record, stems, gains_db)
  power = mix(record, stems, weights, slice(first, first + window))
  return log_magnitudes(power)


def _open(data_dir: disk.Path, split: str, window: int) -> Records:
  """Open the records of a split; they must fill the window."""
  records = Records(data_dir, split)
  frames = records.manifest.frames
  if not 1 <= window <= frames:
    raise ValueError(
      f"window is {window} frames, the records of {data_dir} have "
      f"{frames}: shorten the window (train: --config.model.window) or prepare "
      "longer segments (--segment_seconds)"
    )
  return records
