"""Slakh2100: songs of the Lakh MIDI data set, rendered with samplers.

Folders TrackNNNNN with metadata.yaml and stems/SNN.flac, in train/,
validation/, test/ and omitted/ or in one folder (as in BabySlakh, which has
.wav of 16 kHz). Manilow et al., "Cutting Music Source Separation Some Slakh",
WASPAA 2019; splits: https://github.com/ethman/slakh-utils.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from stemgen_jax import categories, disk, paths
from stemgen_jax.data.songs import SPLITS, Problem, Song
from stemgen_jax.data.sources import multitracks

VARIANTS = ("redux", "split2", "orig")

_TRACK = re.compile(r"Track(\d{5})")
_LAST = {"train": 1500, "valid": 1875, "test": 2100}  # track numbers
_SUFFIXES = (".flac", ".wav")
_AUDIO = "stems"  # folder of the stems in that of a track


@dataclasses.dataclass(frozen=True)
class Slakh:
  """Slakh2100 in a folder: a `songs.Songs`.

  The split of a track follows from its number and the variant, wherever its
  folder is, so one copy serves all variants.

  Attributes:
    root: folder of the tracks or of the splits' folders.
    variant: "redux" has every MIDI file once (1710 songs); "split2" has all
      2100, none of them in two splits; "orig" has some in several splits.

  Raises:
    ValueError: unknown variant, or no tracks in the folder.
    FileNotFoundError, NotADirectoryError: no such folder.
  """

  root: str
  variant: str = "redux"

  def __post_init__(self):
    if self.variant not in VARIANTS:
      raise ValueError(
        f"--variant={self.variant}: expected one of {', '.join(VARIANTS)}"
      )
    multitracks.check_root(self.root, "Slakh2100")
    if not self._tracks():
      raise ValueError(
        f"--root={self.root} holds no Slakh2100: expected TrackNNNNN/ in it, "
        "or in train/, validation/, test/ in it"
      )

  @property
  def name(self) -> str:
    """Name with the variant: "slakh_redux"."""
    return f"slakh_{self.variant}"

  def songs(self) -> Iterator[Song]:
    """Yield the tracks of the variant by number."""
    for folder in self._tracks():
      split = _split(int(folder.name[len("Track") :]), self.variant)
      if split:
        yield _song(folder, split)

  def _tracks(self) -> list[pathlib.Path]:
    root = pathlib.Path(self.root)
    found = [
      folder
      for parent in (root, *multitracks.folders(root))
      for folder in multitracks.folders(parent)
      if _TRACK.fullmatch(folder.name)
    ]
    return sorted(found, key=lambda folder: (folder.name, str(folder)))


@functools.cache
def _lists() -> dict[str, frozenset[int]]:
  lists = disk.read_json(paths.SLAKH_SPLITS, "install stemgen-jax again")
  return {name: frozenset(numbers) for name, numbers in lists.items()}


def _split(number: int, variant: str) -> str | None:
  """Return the split of a track, or None if it is not in the variant."""
  if variant == "redux" and number in _lists()["redux_omits"]:
    return None
  if variant == "split2":
    for split in SPLITS:
      if number in _lists()[f"split2_{split}"]:
        return split
  return next((s for s in SPLITS if number <= _LAST[s]), None)


def _song(folder: pathlib.Path, split: str) -> Song:
  path = folder / "metadata.yaml"
  content: Any = None
  kind, reason = "corrupt metadata", ""
  if not path.exists():
    kind, reason = "missing file", f"{path}: no such file"
  else:
    try:
      content = disk.read_yaml(path, "download it again")
    except ValueError as error:
      reason = " ".join(str(error).split())
  if not reason and (mistake := _mistake(content)):
    reason = f"{path}: {mistake}"
  if reason:
    found = [Problem(kind, reason)]
  else:
    stems = sorted(content["stems"].items())
    stated = str(content.get("audio_dir", _AUDIO))
    name = pathlib.PurePath(stated).name or "."  # not a path elsewhere
    where = folder / (_AUDIO if multitracks.is_hidden(name) else name)
    where = where if where.is_dir() else folder / _AUDIO
    found = [_stem(where, name, fields) for name, fields in stems]
    if stated != where.name:
      reason = f"metadata.yaml: audio_dir is {stated}: {where} is read"
      found.append(Problem("other folder", reason, left_out=False))
  mixtures = [folder / f"mix{suffix}" for suffix in _SUFFIXES]
  return multitracks.song(folder.name, split, "other", found, mixtures)


def _mistake(content: Any) -> str:
  """Return the first mistake in the content of metadata.yaml, or ""."""
  stems = content.get("stems") if isinstance(content, dict) else None
  if not isinstance(stems, dict):
    return "expected a mapping of stems"
  for name, fields in stems.items():
    if not isinstance(name, str) or not isinstance(fields, dict):
      return f"stem {name!r}: expected a name and a mapping"
    program, is_drum = fields.get("program_num"), fields.get("is_drum")
    in_range = isinstance(program, int) and 0 <= program <= 127
    if _is_rendered(fields) and (is_drum is None or not (in_range or is_drum)):
      return (
        f"stem {name}: program_num is {program!r} and is_drum {is_drum!r}, "
        "expected 0 to 127 and true or false"
      )
  return ""


def _is_rendered(fields: dict[str, Any]) -> bool:
  return fields.get("audio_rendered", True)


def _stem(
  where: pathlib.Path, name: str, fields: dict[str, Any]
) -> multitracks.Found:
  if not _is_rendered(fields):
    # Published without audio; this copy is complete.
    return Problem(
      "not rendered", "metadata.yaml: audio_rendered: false", name, False
    )
  category = categories.category_of_program(
    fields.get("program_num", 0), bool(fields.get("is_drum"))
  )
  files = [where / f"{name}{suffix}" for suffix in _SUFFIXES]
  file = next((file for file in files if file.is_file()), files[0])
  return multitracks.stem(name, category, [file])
