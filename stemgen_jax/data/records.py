"""The records of a prepared data set, one by one."""

import os
import pathlib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_generated_pb2

from stemgen_jax.data.manifest import Manifest

_proto: Any = tf_example_generated_pb2  # generated: without types


class Records:
  """The records of one split: `len(records)`, `records[i]`, a Grain source.

  A record is a dict of the features of `stem_codes.StemCodes`: codes uint16
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
    self._tensors = {
      name: (feature.np_dtype, tuple(n or -1 for n in feature.shape))
      for name, feature in builder.info.features.items()
      if feature.shape
    }

  def __len__(self) -> int:
    return len(self._bytes)

  def __getitem__(self, index: int) -> dict[str, Any]:
    record = {}
    for name, feature in _proto.Example.FromString(
      self._bytes[index]
    ).features.feature.items():
      (value,) = getattr(feature, feature.WhichOneof("kind")).value
      if name in self._tensors:
        dtype, shape = self._tensors[name]
        value = np.frombuffer(value, dtype).reshape(shape)
      record[name] = value
    return record
