"""Find audio in two splits, which would leak training data into the test."""

import collections
import hashlib
import os
import pathlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import soundfile

from stemgen_jax import audio, progress
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import suspicious

_Place = tuple[songs.Song, songs.Stem]


def across_splits(
  found: Sequence[songs.Song],
) -> list[tuple[str, songs.Problem]]:
  """Return the stems that another split has, too, with their songs' ids.

  Of two splits, the stem of the first in the order of `songs.SPLITS` is
  returned. Only stems whose files have the same length and excerpts are
  decoded.

  Args:
    found: songs that can be used.
  """
  places = [
    (song, stem)
    for song in found
    for stem in filter(suspicious.is_recorded, song.stems)
  ]
  groups = _alike([places], _lengths)
  # Songs of a game or a loop library often have one length: decoding all of
  # them takes long, an excerpt does not.
  groups = _alike(groups, _excerpts, "comparing splits")
  groups = _alike(groups, _digest, "comparing all of alike stems")
  problems = []
  for places in groups:
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


def _alike(
  groups: Sequence[Sequence[_Place]],
  key: Callable[[songs.Stem], Hashable],
  desc: str = "",
) -> list[list[_Place]]:
  """Split groups by a key of the stems; return those of several splits.

  Args:
    groups: stems that may be alike.
    key: returns what is equal for equal audio; None leaves a stem out.
    desc: description of the progress bar; "" shows none.
  """
  found = []
  count = sum(map(len, groups)) if desc else 0
  with progress.bar(
    total=count, desc=desc, unit="stem", disable=not count
  ) as bar:
    for places in groups:
      same: dict[Hashable, list[_Place]] = collections.defaultdict(list)
      for song, stem in places:
        if (value := key(stem)) is not None:
          same[value].append((song, stem))
        bar.update()
      found += [alike for alike in same.values() if _splits(alike)[1:]]
  return found


def _splits(places: Iterable[_Place]) -> list[str]:
  """Return the splits of places, in the order of `songs.SPLITS`."""
  return sorted({song.split for song, _ in places}, key=songs.SPLITS.index)


def _lengths(stem: songs.Stem) -> tuple | None:
  """Return the lengths of a stem's files; None if one is unreadable."""
  lengths = []
  for file in stem.files:
    try:
      # The length of an mp3 needs all of it; equal ones are copies.
      if file.suffix.lower() == ".mp3":
        lengths.append((".mp3", file.stat().st_size))
      else:
        lengths.append(audio.stated_seconds(file))
    except (ValueError, OSError):  # reported when it is decoded
      return None
  return tuple(lengths)


def _excerpts(stem: songs.Stem) -> tuple[str, ...]:
  """Return checksums of excerpts of a stem's files, in any order of these."""
  return tuple(sorted(_excerpt(file) for file in stem.files))


def _excerpt(file: pathlib.Path) -> str:
  """Return a checksum of a second in four parts; "" to compare all of it."""
  try:
    if file.suffix.lower() == ".mp3":
      with open(file, "rb") as stream:
        stream.seek(file.stat().st_size // 2)
        return hashlib.sha256(stream.read(1 << 14)).hexdigest()
    name: Any = os.fsencode(file)  # may not be UTF-8
    with soundfile.SoundFile(name) as sound:
      if sound.subtype.startswith("MPEG"):
        return ""
      parts = []
      for eighth in (1, 3, 5, 7):
        sound.seek(sound.frames * eighth // 8)
        parts.append(sound.read(sound.samplerate // 4, "float32", True))
    return hashlib.sha256(_rounded(np.concatenate(parts)).tobytes()).hexdigest()
  except (OSError, RuntimeError, TypeError, ValueError):
    return ""  # the whole of a file is read with more patience


def _rounded(samples: np.ndarray) -> np.ndarray:
  """Return samples of 16 bits, as copies of 24 bits are made."""
  return np.round(32767 * samples.clip(-1, 1)).astype(np.int16)


def _digest(stem: songs.Stem) -> str | None:
  """Return a checksum of all samples; None for silence or unreadable ones."""
  try:
    rounded = _rounded(stem.read().samples)
  except (ValueError, OSError):
    return None
  return (
    hashlib.sha256(rounded.tobytes()).hexdigest() if rounded.any() else None
  )
