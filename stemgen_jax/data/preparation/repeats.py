"""Find audio that is in two splits, which would test a model on it."""

import collections
import hashlib
import itertools
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from stemgen_jax import audio, progress
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import suspicious

_Place = tuple[songs.Song, songs.Stem]


def across_splits(
  found: Sequence[songs.Song],
) -> list[tuple[str, songs.Problem]]:
  """Return the stems that another split has, too, with their songs' ids.

  Of two splits, the stem of the first in the order of `songs.SPLITS` is
  returned. Only stems whose files state the same length are decoded.

  Args:
    found: songs that can be used.
  """
  alike: dict[tuple, list[_Place]] = collections.defaultdict(list)
  for song in found:
    for stem in filter(suspicious.is_recorded, song.stems):
      if (key := _key(stem.files)) is not None:
        alike[key].append((song, stem))
  groups = [places for places in alike.values() if _splits(places)[1:]]
  same: dict[str, list[_Place]] = collections.defaultdict(list)
  count = sum(map(len, groups))
  with progress.bar(
    total=count, desc="comparing splits", unit="stem", disable=not count
  ) as bar:
    for song, stem in itertools.chain(*groups):
      if digest := _digest(stem):
        same[digest].append((song, stem))
      bar.update()
  problems = []
  for places in same.values():
    # The last split, of the test songs, keeps its stems.
    last = _splits(places)[-1]
    other, there = next(x for x in places if x[0].split == last)
    problems += [
      (
        song.id,
        songs.Problem(
          "same audio",
          f"as {there.name} of {other.id} in the {last} split",
          stem.name,
        ),
      )
      for song, stem in places
      if song.split != last
    ]
  return problems


def _splits(places: Iterable[_Place]) -> list[str]:
  """Return the splits of places, in the order of `songs.SPLITS`."""
  return sorted({song.split for song, _ in places}, key=songs.SPLITS.index)


def _key(files: Sequence[pathlib.Path]) -> tuple | None:
  """Return what is equal for equal audio; None for an unreadable file."""
  key = []
  for file in files:
    try:
      # The length of an mp3 needs all of it; equal ones are copies.
      if file.suffix.lower() == ".mp3":
        key.append((".mp3", file.stat().st_size))
      else:
        key.append(audio.stated_seconds(file))
    except (ValueError, OSError):  # reported when it is decoded
      return None
  return tuple(key)


def _digest(stem: songs.Stem) -> str:
  """Return a checksum of the samples; "" for silence or an unreadable stem."""
  try:
    sound = stem.read()
  except (ValueError, OSError):
    return ""
  # Of 16 bits, as copies of 24 bits are made.
  rounded = np.round(32767 * sound.samples.clip(-1, 1)).astype(np.int16)
  return hashlib.sha256(rounded.tobytes()).hexdigest() if rounded.any() else ""
