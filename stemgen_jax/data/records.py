"""The records of a prepared data set, one by one."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_generated_pb2

from stemgen_jax.data.manifest import Manifest

_proto: Any = tf_example_generated_pb2  # generated: without types
# Where an example keeps one value, by the kind of its dtype.
_LISTS = {"i": "int64_list", "f": "float_list", "O": "bytes_list"}


class Records:
  """The records of one split: `len(records)`, `records[i]`, a Grain source.

  A record is a dict of the features of `packing.StemCodes`: codes uint16
  [t, q], activity bool [seconds], gains float32 [stems], all read-only;
  numbers as Python's, `song_id` as bytes. They are parsed here, as TFDS's own
  decoding takes longer than everything else about a batch together.

  Args:
    data_dir: a prepared folder.
    split: "train", "valid" or "test".

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
    ValueError: unknown or empty split.
  """

  def __init__(self, data_dir: str | os.PathLike, split: str):
    self.manifest = Manifest.load(data_dir)
    counts = self.manifest.counts
    if not counts.get(split, {}).get("pairs"):
      known = [name for name, count in counts.items() if count["pairs"]]
      raise ValueError(
        f"{data_dir} has no pairs in split {split!r}, only in "
        f"{', '.join(known)}"
      )
    builder: Any = tfds.builder_from_directory(
      pathlib.Path(data_dir, self.manifest.records)
    )
    self._bytes = builder.as_data_source(
      split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )
    self._tensors, self._numbers = {}, {}
    for name, feature in builder.info.features.items():
      if feature.shape:
        shape = tuple(n or -1 for n in feature.shape)
        self._tensors[name] = feature.np_dtype, shape
      else:
        self._numbers[name] = _LISTS[np.dtype(feature.np_dtype).kind]

  def __len__(self) -> int:
    return len(self._bytes)

  def __iter__(self) -> Iterator[dict[str, Any]]:
    return (self[index] for index in range(len(self)))

  def __getitem__(self, index: int) -> dict[str, Any]:
    features = _proto.Example.FromString(self._bytes[index]).features.feature
    record = {
      name: getattr(features[name], kind).value[0]
      for name, kind in self._numbers.items()
    }
    for name, (dtype, shape) in self._tensors.items():
      (value,) = features[name].bytes_list.value
      record[name] = np.frombuffer(value, dtype).reshape(shape)
    return record


def song_ids(data_dir: str | os.PathLike) -> dict[str, list[str]]:
  """Split -> ids of a prepared set's songs.

  Of a set that was made before its manifest kept them, the ids of the songs
  that have pairs, for which all records are read.

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
  """
  manifest = Manifest.load(data_dir)
  if manifest.song_ids:
    return manifest.song_ids
  return {
    split: list(
      dict.fromkeys(
        record["song_id"].decode() for record in Records(data_dir, split)
      )
    )
    for split, count in manifest.counts.items()
    if count["pairs"]
  }
