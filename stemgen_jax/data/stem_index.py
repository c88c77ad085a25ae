"""The index of the records of stems: their targets, songs and places.

It is written once, when the records are: they are large, and their order is
that of TFDS.
"""

import dataclasses
import pathlib
from collections.abc import Iterable

import numpy as np

from stemgen_jax import disk
from stemgen_jax.data.records import StemRecords

_FIX = "prepare again in another folder"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StemIndex:
  """What can be drawn from the records of one split.

  Attributes:
    record: record of each possible target, int32 [targets].
    stem: stem of each possible target in its record, int32 [targets].
    category: category id of each possible target, int32 [targets].
    song_id: id of the song of each record, text [records].
    start: beginning of each record in its song in seconds, float32 [records].
  """

  record: np.ndarray
  stem: np.ndarray
  category: np.ndarray
  song_id: np.ndarray
  start: np.ndarray

  def find(self, song_id: str, start: float) -> int:
    """Return the record of a song's segment.

    Raises:
      ValueError: there is none.
    """
    places = np.flatnonzero(
      (self.song_id == song_id) & (np.abs(self.start - start) < 1e-3)
    )
    if not len(places):
      raise ValueError(f"no stems of {song_id} at {start:g} s: {_FIX}")
    return int(places[0])

  @classmethod
  def load(cls, data_dir: disk.Path, split: str) -> "StemIndex":
    """Read the index of a split.

    Raises:
      ValueError: the file is missing or corrupt.
    """
    path = _path(data_dir, split)
    names = [field.name for field in dataclasses.fields(cls)]
    return cls(**disk.read_npz(path, _FIX, names))


def write(
  data_dir: pathlib.Path, records: str, splits: Iterable[str]
) -> dict[str, int]:
  """Read the records of all splits, and write their indices.

  Returns:
    Number of records by split.
  """
  counts = {}
  for split in splits:
    source = StemRecords(data_dir / records, split)
    rows, songs = [], []
    for number, record in enumerate(source):
      songs.append((record["song_id"].decode(), record["start"]))
      for stem in np.flatnonzero(record["able"]):
        rows.append((number, stem, record["category"][stem]))
    record, stem, category = np.array(rows, np.int32).reshape(-1, 3).T
    index = StemIndex(
      record=record,
      stem=stem,
      category=category,
      song_id=np.array([song_id for song_id, _ in songs]),
      start=np.array([start for _, start in songs], np.float32),
    )
    path = _path(data_dir, split)
    with disk.replacing(path) as file:
      np.savez(file, **vars(index))
    counts[split] = len(source)
  return counts


def _path(data_dir: disk.Path, split: str) -> pathlib.Path:
  return pathlib.Path(data_dir, f"stems_{split}.npz")
