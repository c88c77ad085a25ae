"""The manifest of a prepared data set: `manifest.json` and two arrays.

The manifest is written last, so a folder that has one is complete. It has the
checksums of the arrays, of itself and of the records' descriptions; the records
have checksums of their own.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from stemgen_jax import disk, recipes

# File with the configuration of a folder's records, written first.
RECIPE = "prepare.json"
_FILE = "manifest.json"
_ARRAYS = {
  "codebooks": ("codebooks.npy", np.float32),
  "silence": ("silence.npy", np.int32),
}
# Descriptions in a folder of records.
_DESCRIPTIONS = ("dataset_info.json", "features.json")
_FIX = "restore it, or prepare again in another folder"


# Passes over a pair, in other crops, beyond which a run only memorizes it; ten
# times as many over a segment, whose submixes are always new.
_MOST_SEEN = 1000


def _times(count: float) -> str:
  return f"{count:,.0f}" if count >= 10 else f"{count:.1f}"


def _too_little(is_so: bool) -> str:
  return "; this is far too little data for such a run" if is_so else ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
  """A prepared data set.

  Attributes:
    name: source and codec, the name of the TFDS config ("band_demo").
    records: folder of the TFDS data set, relative to the manifest.
    codec: name of the codec that made the codes.
    checksum: sha256 of the codec's weights, in hexadecimal digits.
    sample_rate: sample rate of the encoded audio in Hz.
    channels: channels of the encoded audio.
    frame_rate: frames of codes per second.
    levels: q, codes per frame.
    codes: v, codes per level.
    segment_seconds: length of every record in seconds.
    frames: t, frames of every record.
    counts: split -> {"songs", "pairs", "empty"}: songs that have pairs, their
      pairs, and the pairs whose context is silent.
    categories: category -> number of training pairs with such a target.
    context_rms_db: mean level of the training contexts in dB of full scale;
      None where all are silent.
    listed: split -> number of the source's songs, with pairs or without; {} in
      older manifests, which have it in `counts`.
    song_ids: split -> ids of the `listed` songs; {} in older manifests, see
      `records.song_ids`.
    segment_frames: frames per segment of a codec with scales, else 0.
    scale_ratio: category -> geometric mean of target scale / context scale
      over the training set's segments, for a codec with scales.
    loudness: {"reference_db", "relative_db"}: the loudness in dB of full scale
      that targets and contexts were encoded at; and by category the mean
      loudness of its stems over that of their contexts in the training songs,
      in dB. {} in older manifests: their records have the songs' loudness.
    roles: "pairs", "relative_db" and "scale_ratio" of the training pairs by
      role, for weights without categories; {} in older manifests.
    stems: folder of the records of stems, for spectrum contexts, relative to
      the manifest; "" without them.
    segments: split -> number of those records.
    codec_device: device of the codec in the last run, for information.
    config: configuration of the records, as `prepare` wrote it.
    versions: package -> version at the time of preparation.
    codebooks: codebooks of the codec, float32 [q, v, latent].
    silence: codes of a silent segment, int32 [t, q].
  """

  name: str
  records: str
  codec: str
  checksum: str
  sample_rate: int
  channels: int
  frame_rate: float
  levels: int
  codes: int
  segment_seconds: float
  frames: int
  counts: dict[str, dict[str, int]]
  categories: dict[str, int]
  context_rms_db: float | None
  listed: dict[str, int] = dataclasses.field(default_factory=dict)
  song_ids: dict[str, list[str]] = dataclasses.field(default_factory=dict)
  segment_frames: int = 0
  scale_ratio: dict[str, float] = dataclasses.field(default_factory=dict)
  loudness: dict[str, Any] = dataclasses.field(default_factory=dict)
  roles: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
  stems: str = ""
  segments: dict[str, int] = dataclasses.field(default_factory=dict)
  codec_device: str = ""
  config: dict[str, Any]
  versions: dict[str, str]
  codebooks: Float[np.ndarray, "q v latent"] = dataclasses.field(repr=False)
  silence: Int32[np.ndarray, "t q"] = dataclasses.field(repr=False)

  @classmethod
  def load(cls, data_dir: disk.Path) -> "Manifest":
    """Read the manifest of a prepared folder.

    Raises:
      FileNotFoundError: no such folder, or no finished data set in it.
      ValueError: the manifest is corrupt.
    """
    folder = pathlib.Path(data_dir)
    if not folder.is_dir():
      raise FileNotFoundError(
        f"no folder {data_dir} with prepared codes{disk.similar(folder)}; "
        "`stemgen-jax prepare --out=` makes one"
      )
    if not (folder / _FILE).is_file():
      raise FileNotFoundError(
        f"{data_dir} holds no finished data set ({_FILE} is missing): run "
        "`stemgen-jax prepare` with this --out to resume it"
      )
    fields = recipes.read_sealed(folder / _FILE, _FIX)
    if "checksums" in fields:  # missing in older manifests
      places = [fields.get("records"), fields.get("stems", "")]
      _check_sums(folder, fields.pop("checksums"), _summed(folder, places))
    for name, (file, dtype) in _ARRAYS.items():
      array = disk.read_npy(folder / file, _FIX)
      if array.dtype.kind not in "iuf":
        raise ValueError(f"{folder / file} is corrupt ({array.dtype}): {_FIX}")
      fields[name] = array.astype(dtype)
    try:
      return recipes.build(cls, fields)
    except ValueError as error:
      raise ValueError(f"{folder / _FILE} is corrupt: {error}") from error

  def examples_seen(
    self, steps: int, batch: int, contexts: str | None = None
  ) -> str:
    """Describe how often a run sees the training examples, in one line.

    Args:
      steps: steps of the run.
      batch: examples of a step.
      contexts: "codes" or "spectrum"; by default what the data are for.
    """
    run, examples = f"a run of {steps} steps of {batch}", steps * batch
    if (contexts or ("spectrum" if self.stems else "codes")) == "spectrum":
      segments = max(1, self.segments.get("train", 0))
      return (
        f"{run} sees {examples} submixes, all different, "
        f"{_times(examples / segments)} of each of {segments} segments; the "
        "paper draws a new crop and submix every time, too"
        + _too_little(examples / segments > 10 * _MOST_SEEN)
      )
    pairs = max(1, self.counts.get("train", {}).get("pairs", 0))
    return (
      f"{run} sees each of {pairs} pairs {_times(examples / pairs)} times, "
      "in other crops; the paper draws a new crop and submix every time, as "
      "spectrum contexts do" + _too_little(examples / pairs > _MOST_SEEN)
    )

  def check_fits(self, other: "Manifest", own: str, name: str) -> None:
    """Check that one model can train on this data set and another.

    Args:
      other: manifest of the other data set.
      own: what messages call this one.
      name: what messages call the other.

    Raises:
      ValueError: the codecs differ, or the loudness that they encoded.
    """
    if other.checksum != self.checksum:
      raise ValueError(
        f"{name}: codec {other.codec!r} ({other.checksum[:12]}); expected that "
        f"of {own}, {self.codec!r} ({self.checksum[:12]}), as codes of two "
        "codecs do not mix; prepare one of them again"
      )
    ours, theirs = (x.loudness.get("reference_db") for x in (self, other))
    if ours != theirs:
      raise ValueError(
        f"{name}: encoded at a loudness of {theirs} dB; expected that of "
        f"{own}, {ours} dB; prepare one of them again"
      )

  def save(self, data_dir: disk.Path) -> None:
    """Write the arrays, then the manifest in one step."""
    folder = pathlib.Path(data_dir)
    fields = dict(vars(self))  # in the order of definition
    silence = fields.pop("silence").astype(np.uint16)
    arrays = {"codebooks": fields.pop("codebooks"), "silence": silence}
    for name, array in arrays.items():
      with disk.replacing(folder / _ARRAYS[name][0]) as file:
        np.save(file, array)
    fields["checksums"] = {
      name: disk.checksum(folder / name)
      for name in _summed(folder, [self.records, self.stems])
    }
    disk.write_json(folder / _FILE, recipes.sealed(fields))

  @staticmethod
  def written(data_dir: disk.Path) -> int:
    """Return when a data set was finished, in ns; 0 for an unfinished one."""
    path = pathlib.Path(data_dir, _FILE)
    return path.stat().st_mtime_ns if path.is_file() else 0

  @staticmethod
  def remove(data_dir: disk.Path) -> None:
    """Mark a data set as unfinished."""
    pathlib.Path(data_dir, _FILE).unlink(missing_ok=True)


def _summed(folder: pathlib.Path, places: Sequence[Any]) -> list[str]:
  """Return the names of the files that have a checksum in the manifest.

  Raises:
    ValueError: a folder of records is outside of the data set.
  """
  names = [file for file, _ in _ARRAYS.values()]
  for place in places:
    inside = isinstance(place, str) and not pathlib.Path(place).is_absolute()
    if not inside or ".." in pathlib.Path(place).parts:
      raise ValueError(
        f"{folder / _FILE} is corrupt (records in {place!r}): expected a "
        f"folder within; {_FIX}"
      )
    files = (pathlib.Path(place, name) for name in _DESCRIPTIONS if place)
    names += [x.as_posix() for x in files if (folder / x).exists()]
  return names


def _check_sums(folder: pathlib.Path, sums: Any, names: list[str]) -> None:
  """Raise ValueError if a file is not the one that the manifest describes."""
  if not isinstance(sums, dict) or sums.keys() != set(names):
    raise ValueError(
      f"{folder / _FILE} has not the checksums of {', '.join(names)} alone: a "
      f"file is missing, or the manifest is corrupt; {_FIX}"
    )
  for name, stated in sums.items():
    if (folder / name).exists() and not (folder / name).is_file():
      raise ValueError(f"{folder / name} is not a regular file: {_FIX}")
    try:
      actual = disk.checksum(folder / name)
    except OSError as error:
      raise ValueError(
        f"{folder / name} cannot be read ({error.strerror}): {_FIX}"
      ) from error
    if actual != stated:
      raise ValueError(
        f"{folder / name} has sha256 {actual[:12]}, expected "
        f"{str(stated)[:12]}: it is corrupt or of another data set; {_FIX}"
      )


def recipe_of(data_dir: disk.Path) -> dict[str, Any]:
  """Return the configuration of a folder's records; {} in a new folder.

  Raises:
    ValueError: the file is corrupt.
  """
  path = pathlib.Path(data_dir, RECIPE)
  return disk.read_json(path, _FIX) if path.is_file() else {}
