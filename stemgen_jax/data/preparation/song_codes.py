"""The codes of one song in a file: the unit of encoding and of restart."""

import dataclasses
import hashlib
import json
import pathlib
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from stemgen_jax import disk, recipes
from stemgen_jax.categories import ROLES
from stemgen_jax.data.preparation import song_stems
from stemgen_jax.data.songs import Problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
  """A song's file without its codes; axis 0 of every array is the pair.

  Attributes:
    category: category ids of the targets, int32 [pairs].
    role: role ids of the targets, int32 [pairs]; `len(categories.ROLES)` where
      it is unknown, as in files written before there were roles.
    context_active: seconds in which the context sounds, bool [pairs, seconds];
      all False for a silent context.
    context_rms_db: levels of the contexts in dB of full scale, float32 [pairs].
    relative_db: loudness of the targets over that of their contexts in the
      song, in dB, float32 [pairs]; NaN for silent contexts.
    context_scales: scales of the contexts, float32 [pairs, segments]; None
      for a codec without scales.
    target_scales: scales of the targets, likewise.
    problems: problems of the song's audio.
    made_of: `songs.Song.made_of` at the time of encoding.
  """

  category: np.ndarray
  role: np.ndarray
  context_active: np.ndarray
  context_rms_db: np.ndarray
  relative_db: np.ndarray
  context_scales: np.ndarray | None = None
  target_scales: np.ndarray | None = None
  problems: tuple[Problem, ...] = ()
  made_of: str = ""

  @property
  def has_context(self) -> Bool[np.ndarray, " pairs"]:
    """Pairs whose context is not silence."""
    # A song without pairs has an array of one axis only.
    return np.array([active.any() for active in self.context_active], bool)

  @classmethod
  def load(cls, path: pathlib.Path) -> "Summary":
    """Read a song's file without its codes.

    Raises:
      ValueError: the file is corrupt.
    """
    names = ("category", "role", "context_active", "context_rms_db")
    return cls(**_read(path, (*names, "relative_db", *SCALES)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SongCodes(Summary):
  """The pairs of one song; axis 0 of every array is the pair.

  Attributes, in addition to those of `Summary`:
    context: codes of the contexts, uint16 [pairs, t, q].
    target: codes of the targets, uint16 [pairs, t, q].
    target_active: seconds in which the target sounds, bool [pairs, seconds].
    gains: linear gain of each stem in the context, float32 [pairs, stems].
    stem: indices of the targets in the song, int32 [pairs].
    genre: genre ids, int32 [pairs].
    segment: indices of the segments, int32 [pairs].
    index: indices of the pairs in their segments, int32 [pairs].
    start: beginnings of the segments in seconds, float32 [pairs].
    stems: the stems of all segments, for spectrum contexts.
  """

  context: np.ndarray
  target: np.ndarray
  target_active: np.ndarray
  gains: np.ndarray
  stem: np.ndarray
  genre: np.ndarray
  segment: np.ndarray
  index: np.ndarray
  start: np.ndarray
  stems: song_stems.SongStems | None = None

  @property
  def columns(self) -> dict[str, np.ndarray]:
    """Arrays by name, without those that are None."""
    columns = {name: getattr(self, name) for name in (*COLUMNS, *SCALES)}
    return {name: array for name, array in columns.items() if array is not None}

  @property
  def summary(self) -> Summary:
    """The same song without its codes."""
    names = [field.name for field in dataclasses.fields(Summary)]
    return Summary(**{name: getattr(self, name) for name in names})

  def rows(self) -> Iterator[dict[str, Any]]:
    """Yield the pairs one by one."""
    columns = self.columns
    for row in range(len(self.index)):
      yield {name: array[row] for name, array in columns.items()}

  @classmethod
  def load(cls, path: pathlib.Path) -> "SongCodes":
    """Read a song's file.

    Raises:
      ValueError: the file is corrupt.
    """
    names = {song_stems.PREFIX + name: name for name in song_stems.NAMES}
    fields = _read(path, (*COLUMNS, *SCALES), tuple(names))
    arrays = {names[key]: fields.pop(key) for key in names if key in fields}
    if missing := set(names.values()) - set(arrays) if arrays else set():
      raise ValueError(f"{path} is corrupt (no {min(missing)!r}): {_FIX}")
    stems = song_stems.SongStems(**arrays) if arrays else None
    return cls(**fields, stems=stems)

  def save(self, path: pathlib.Path) -> None:
    """Write a song's file in one step, or nothing."""
    problems = json.dumps([dataclasses.asdict(p) for p in self.problems])
    texts = {"problems": problems, "made_of": self.made_of}
    arrays: dict[str, Any] = dict(self.columns)
    arrays |= {name: np.array(text) for name, text in texts.items()}
    if self.stems is not None:
      arrays |= {song_stems.PREFIX + x: y for x, y in vars(self.stems).items()}
    with disk.replacing(path) as file:
      np.savez(file, **arrays)


_FIX = "delete it and prepare again"
# Names of the arrays of a codec with scales.
SCALES = ("context_scales", "target_scales")
# Names of the arrays of every codec, in the order of the file, whose bytes are
# compared.
COLUMNS = (
  *("context", "target", "context_active", "target_active", "gains"),
  *("context_rms_db", "stem", "category", "genre", "segment", "index"),
  *("start", "role", "relative_db"),
)
# The first two depend on the codec, the others on the version that wrote it.
_OPTIONAL = (*SCALES, "role", "relative_db", "made_of")
# File systems allow 255 bytes; suffix and digest need the rest.
_LONGEST_NAME = 180


def _read(
  path: pathlib.Path, names: Sequence[str], others: Sequence[str] = ()
) -> dict[str, Any]:
  """Read arrays, problems and `made_of` of a song's file, opened once.

  Args:
    path: the file.
    names: arrays by pair.
    others: arrays with other axes, which may be missing.
  """
  names = (*names, "problems", "made_of")
  fields = disk.read_npz(
    path,
    _FIX,
    (*names, *others),
    optional=(*_OPTIONAL, *others),
    described=("problems",),
  )
  arrays = {name: fields.pop(name) for name in others if name in fields}
  made_of, problems = str(fields.pop("made_of", "")), fields.pop("problems")
  shapes = {name: array.shape[:1] for name, array in fields.items()}
  if "role" in names:
    unknown = np.full(len(fields["category"]), len(ROLES), np.int32)
    fields.setdefault("role", unknown)
  if "relative_db" in names:
    unknown = np.full(len(fields["category"]), np.nan, np.float32)
    fields.setdefault("relative_db", unknown)
  try:
    if len(set(shapes.values())) > 1:
      raise ValueError(f"arrays of different lengths, {shapes}")
    if not isinstance(problems, list):
      raise ValueError(f"problems {problems!r}")
    found = tuple(recipes.build(Problem, problem) for problem in problems)
  except ValueError as error:
    raise ValueError(f"{path} is corrupt ({error}): {_FIX}") from error
  return fields | arrays | {"problems": found, "made_of": made_of}


def summaries(
  folder: pathlib.Path, song_ids: Iterable[str]
) -> dict[str, Summary]:
  """Return song id -> summary of the songs that have a file in `folder`.

  Raises:
    ValueError: a song's file is corrupt.
  """
  paths = {song_id: song_path(folder, song_id) for song_id in song_ids}
  return {
    song_id: Summary.load(path)
    for song_id, path in paths.items()
    if path.exists()
  }


def song_path(folder: pathlib.Path, song_id: str) -> pathlib.Path:
  """Return the file of a song's codes; any id makes a valid file name."""
  name = urllib.parse.quote(song_id, safe="")
  if len(name) > _LONGEST_NAME:
    # Thirty Chinese characters are 270 when quoted.
    digest = hashlib.sha256(song_id.encode()).hexdigest()[:16]
    name = f"{name[:_LONGEST_NAME]}-{digest}"
  return folder / f"{name}.npz"
