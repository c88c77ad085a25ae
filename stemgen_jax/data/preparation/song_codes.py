"""The codes of one song in a file: the unit of work and of restart."""

import dataclasses
import hashlib
import json
import os
import pathlib
import urllib.parse
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool

from stemgen_jax import disk
from stemgen_jax.categories import ROLES
from stemgen_jax.data.songs import Problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class SongCodes:
  """The pairs of one song; axis 0 of every array is the pair.

  Attributes:
    context: uint16 [pairs, t, q].
    target: uint16 [pairs, t, q].
    context_active: bool [pairs, seconds]; all False for an empty context.
    target_active: bool [pairs, seconds].
    gains: float32 [pairs, stems], of each stem of the song in the context.
    context_rms_db: float32, level of the context, dB of full scale.
    stem: int32, the target's number in the song.
    category: int32 id of the target.
    genre: int32 id.
    segment: int32, number of the segment.
    index: int32, number of the pair in the segment.
    role: int32 id of the target's role, `len(categories.ROLES)` where it is
      not known, as in all files that were written before there were roles.
    start: float32, where the segment begins in the song, in seconds.
    context_scales: float32 [pairs, segments of the codec], of a
      `codec.ScaledCodec`; else None.
    target_scales: the same of the targets.
    problems: what was found wrong with the song's audio; of no pair.
    made_of: `songs.Song.made_of` when it was read; of no pair.
  """

  context: np.ndarray
  target: np.ndarray
  context_active: np.ndarray
  target_active: np.ndarray
  gains: np.ndarray
  context_rms_db: np.ndarray
  stem: np.ndarray
  category: np.ndarray
  genre: np.ndarray
  segment: np.ndarray
  index: np.ndarray
  start: np.ndarray
  role: np.ndarray
  context_scales: np.ndarray | None = None
  target_scales: np.ndarray | None = None
  problems: tuple[Problem, ...] = ()
  made_of: str = ""

  @property
  def has_context(self) -> Bool[np.ndarray, " pairs"]:
    """Which pairs have something to hear."""
    # Without pairs there is no second axis either.
    return np.array([active.any() for active in self.context_active], bool)

  @property
  def columns(self) -> dict[str, np.ndarray]:
    """The arrays that there are, by name."""
    columns = {name: getattr(self, name) for name in (*COLUMNS, *SCALES)}
    return {name: array for name, array in columns.items() if array is not None}

  def rows(self) -> Iterator[dict[str, Any]]:
    """The pairs, one by one."""
    columns = self.columns
    for row in range(len(self.index)):
      yield {name: array[row] for name, array in columns.items()}

  @classmethod
  def load(cls, path: pathlib.Path) -> "SongCodes":
    """Reads a song's file.

    Raises:
      ValueError: it is damaged.
    """
    try:
      with disk.open_npz(path) as arrays:
        absent = {"role", *SCALES} - set(arrays)
        columns = {
          name: arrays[name]
          for name in (*COLUMNS, *SCALES)
          if name not in absent
        }
    except _DAMAGES as error:
      raise _damaged(path, error) from error
    unknown = np.full(len(columns["index"]), len(ROLES), np.int32)
    columns.setdefault("role", unknown)
    problems, made_of = facts_of(path)
    return cls(**columns, problems=problems, made_of=made_of)

  def save(self, path: pathlib.Path) -> None:
    """Writes a song's file in one step, or nothing."""
    partial = path.with_name(f"{path.name}.partial")
    arrays: dict[str, Any] = dict(self.columns)
    problems = json.dumps([dataclasses.asdict(p) for p in self.problems])
    try:
      with open(partial, "wb") as file:
        np.savez(
          file,
          **arrays,
          problems=np.array(problems),
          made_of=np.array(self.made_of),
        )
      os.replace(partial, path)
    finally:  # a full disk gets its space back
      partial.unlink(missing_ok=True)


SCALES = ("context_scales", "target_scales")
"""Names of the arrays of a codec with scales."""
COLUMNS = tuple(
  field.name
  for field in dataclasses.fields(SongCodes)
  if field.name not in ("problems", "made_of", *SCALES)
)
"""Names of the arrays of every codec."""
# Of a file's 255 characters, what endings and digests leave.
_LONGEST_NAME = 180
_DAMAGES = (OSError, *disk.NPZ_ERRORS)


def _damaged(path: pathlib.Path, error: Exception) -> ValueError:
  return ValueError(f"{path} is damaged ({error}): delete it and prepare again")


def facts_of(path: pathlib.Path) -> tuple[tuple[Problem, ...], str]:
  """`problems` and `made_of` in a song's file, without reading its codes.

  Raises:
    ValueError: it is damaged.
  """
  try:
    with disk.open_npz(path) as arrays:
      problems = tuple(
        Problem(**fields) for fields in json.loads(str(arrays["problems"]))
      )
      # Not in files that were written before it was kept.
      made_of = str(arrays["made_of"]) if "made_of" in arrays else ""
      return problems, made_of
  except _DAMAGES as error:
    raise _damaged(path, error) from error


def song_path(folder: pathlib.Path, song_id: str) -> pathlib.Path:
  """Where the codes of a song lie; any id makes a valid file name."""
  name = urllib.parse.quote(song_id, safe="")
  if len(name) > _LONGEST_NAME:
    # As of thirty Chinese characters, which a folder may be called by.
    digest = hashlib.sha256(song_id.encode()).hexdigest()[:16]
    name = f"{name[:_LONGEST_NAME]}-{digest}"
  return folder / f"{name}.npz"
