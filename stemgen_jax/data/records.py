"""The records of a prepared data set, one by one."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from stemgen_jax import disk
from stemgen_jax.data import example_proto
from stemgen_jax.data.manifest import Manifest

# Field of an example that holds a scalar, by the kind of its dtype.
_LISTS = {"i": "int64_list", "f": "float_list", "O": "bytes_list"}
_MOST = 300  # characters of another library's message
_FEATURES = "tensorflow_datasets.core.features"
_ALLOWED = (
  f"{_FEATURES}.features_dict.FeaturesDict",
  f"{_FEATURES}.tensor_feature.Tensor",
  f"{_FEATURES}.text_feature.Text",
)


class _Records:
  """The records of one split of a TFDS data set, as dicts of arrays."""

  def __init__(self, folder: pathlib.Path, split: str):
    self._folder = folder
    # Before the builder, which imports the modules of all features.
    _check_features(folder / "features.json")
    _check_files(folder / "dataset_info.json")
    try:
      self._open(split)
    except Exception as error:  # TFDS and protobuf raise many
      reason = " ".join(str(error).split()) or type(error).__name__
      raise ValueError(
        f"{folder} cannot be opened ({reason[:_MOST]}): prepare again in "
        "another folder"
      ) from error

  def _open(self, split: str) -> None:
    builder: Any = tfds.builder_from_directory(self._folder)
    self._bytes = builder.as_data_source(
      split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )
    self._tensors, self._scalars = {}, {}
    # Tensors are bytes in the record, scalars are lists of one value.
    for name, feature in builder.info.features.items():
      if feature.shape:
        shape = tuple(n or -1 for n in feature.shape)  # [None, q] -> [-1, q]
        self._tensors[name] = feature.np_dtype, shape
      else:
        self._scalars[name] = _LISTS[np.dtype(feature.np_dtype).kind]

  def __len__(self) -> int:
    return len(self._bytes)

  def __iter__(self) -> Iterator[dict[str, Any]]:
    return (self[index] for index in range(len(self)))

  def __getitem__(self, index: int) -> dict[str, Any]:
    if not -len(self) <= index < len(self):
      raise IndexError(f"{self._folder} has {len(self)} records, not {index}")
    try:
      return self._read(index)
    except Exception as error:  # ArrayRecord and protobuf raise their own
      reason = " ".join(str(error).split())
      raise ValueError(
        f"{self._folder}: record {index} is corrupt ({reason}): prepare again "
        "in another folder"
      ) from error

  def _read(self, index: int) -> dict[str, Any]:
    example = example_proto.Example.FromString(self._bytes[index])
    features = example.features.feature
    # Scalars as Python numbers, then tensors as read-only views of the bytes.
    record = {
      name: getattr(features[name], kind).value[0]
      for name, kind in self._scalars.items()
    }
    for name, (dtype, shape) in self._tensors.items():
      (value,) = features[name].bytes_list.value
      record[name] = np.frombuffer(value, dtype).reshape(shape)
    return record


class Records(_Records):
  """The records of one split: `len(records)`, `records[i]`, a Grain source.

  A record is a dict of the features of `packing.StemCodes`: codes uint16
  [t, q], activity bool [seconds], gains float32 [stems], all read-only;
  scalars as Python numbers, `song_id` as bytes.

  Args:
    data_dir: prepared folder.
    split: "train", "valid" or "test".

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
    ValueError: unknown or empty split, or features other than those of
      `packing.StemCodes`.
  """

  def __init__(self, data_dir: disk.Path, split: str):
    self.manifest = Manifest.load(data_dir)
    counts = self.manifest.counts
    if not counts.get(split, {}).get("pairs"):
      known = [name for name, count in counts.items() if count["pairs"]]
      raise ValueError(
        f"{data_dir} has no pairs in split {split!r}, only in "
        f"{', '.join(known)}: give another --data, or add songs to that split "
        "(band: prepare --test_songs, --valid_songs)"
      )
    super().__init__(pathlib.Path(data_dir, self.manifest.records), split)


class StemRecords(_Records):
  """The records of stems of one split, for spectrum contexts.

  A record is a segment of a song, a dict of the features of
  `packing.StemSpectra`, whose arrays have an axis of stems first: `target`
  uint16 [stems, t, q], `spectrum` float16 [stems, t, bands], `power` float16
  [stems, t], `active` bool [stems, seconds]; `able`, `loudness_db`, `category`
  and `role` [stems]; `genre` and `start` numbers, `song_id` bytes.

  Args:
    folder: folder of the records.
    split: "train", "valid" or "test".

  Raises:
    ValueError: features other than those of `packing.StemSpectra`.
  """

  def __getitem__(self, index: int) -> dict[str, Any]:
    record = super().__getitem__(index)
    stems = len(record["category"])
    for name in ("target", "spectrum", "power", "active"):
      array = record[name]  # [stems * t, ...]
      record[name] = array.reshape(stems, -1, *array.shape[1:])
    return record


def song_ids(data_dir: disk.Path) -> dict[str, list[str]]:
  """Return split -> ids of a prepared set's songs.

  Manifests of older sets lack them; then all records are read, for the ids of
  the songs that have pairs.

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
  """
  manifest = Manifest.load(data_dir)
  if manifest.song_ids:
    return manifest.song_ids
  found: dict[str, list[str]] = {}
  for split, count in manifest.counts.items():
    if count["pairs"]:
      ids = (x["song_id"].decode() for x in Records(data_dir, split))
      found[split] = list(dict.fromkeys(ids))
  return found


def _check_features(path: pathlib.Path) -> None:
  """Raise ValueError for a feature that a data set of codes does not have.

  TFDS imports the module of every feature that the file names, so that a
  foreign data set could run code of its own.
  """
  for name in _class_names(disk.read_json(path, "prepare again")):
    if name not in _ALLOWED:
      raise ValueError(
        f"{path} names the feature {name!r}; expected one of "
        f"{', '.join(_ALLOWED)}; read only data sets of stemgen-jax prepare"
      )


def _check_files(path: pathlib.Path) -> None:
  """Raise ValueError unless the records are ArrayRecord files of the folder.

  Other formats import other libraries, and a name could lead elsewhere.
  """
  info = disk.read_json(path, "prepare again")
  splits, kind = info.get("splits"), info.get("fileFormat")
  names = [info.get("name"), info.get("version")]
  for split in splits if isinstance(splits, list) else [None]:
    known = isinstance(split, dict)
    names += (
      [split.get("name"), split.get("filepathTemplate")] if known else [0]
    )
  for name in names:
    if not isinstance(name, str) or set(name) & set("/\\"):
      raise ValueError(f"{path} names {name!r}: expected a file in its folder")
  if kind != "array_record":
    raise ValueError(f"{path} has format {kind!r}: expected 'array_record'")


def _class_names(content: Any) -> Iterator[Any]:
  """Yield every value that TFDS would read as the name of a class."""
  if isinstance(content, list):
    content = dict(enumerate(content))
  if isinstance(content, dict):
    for key, value in content.items():
      # Both spellings of JSON for protobuf, and the keys of older versions. A
      # jsonFeature is JSON inside a string, in which TFDS finds names, too.
      plain = str(key).replace("_", "").lower()
      if plain in ("pythonclassname", "type", "protocls", "jsonfeature"):
        yield value
      yield from _class_names(value)
