"""What a prepared data set says about itself: `manifest.json` and two arrays.

The manifest is written last, so a folder that has one is complete.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from stemgen_jax import disk

RECIPE = "prepare.json"
"""What the records of a folder depend on, written first."""
_FILE, _CODEBOOKS, _SILENCE = "manifest.json", "codebooks.npy", "silence.npy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
  """A prepared data set.

  Attributes:
    name: source and codec, the name of the TFDS config ("band_demo").
    records: folder of the TFDS data set, relative to the manifest.
    codec: name of the codec that made the codes.
    checksum: of that codec's weights (sha256, hex).
    sample_rate: of the encoded audio, in Hz.
    channels: of the encoded audio.
    frame_rate: code frames per second.
    levels: q, codes per frame.
    codes: v, codes per level.
    segment_seconds: length of every record.
    frames: t of every record.
    counts: split -> {"songs", "pairs", "empty"}: songs that have pairs, their
      pairs, and those of them with a silent context.
    categories: category -> number of training pairs with such a target.
    context_rms_db: mean level of the training contexts, dB of full scale;
      None where all are empty.
    listed: split -> songs of the source, with pairs or without; {} in older
      manifests, whose `counts` have these.
    song_ids: split -> ids of the `listed` songs; {} in older manifests, see
      `records.song_ids`.
    segment_frames: frames of a segment of a codec with scales; else 0.
    scale_ratio: category -> geometric mean of target / context scale over the
      training set's segments, for such a codec.
    config: everything the records depend on, as given to `prepare`.
    versions: of the packages that made them.
    codebooks: the codec's, float32 [q, v, latent].
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
  config: dict[str, Any]
  versions: dict[str, str]
  codebooks: Float[np.ndarray, "q v latent"] = dataclasses.field(repr=False)
  silence: Int32[np.ndarray, "t q"] = dataclasses.field(repr=False)

  @classmethod
  def load(cls, data_dir: str | os.PathLike) -> "Manifest":
    """Reads the manifest of a prepared folder.

    Raises:
      FileNotFoundError: no such folder, or it holds no finished data set.
      ValueError: the manifest is damaged.
    """
    folder = pathlib.Path(data_dir)
    if not folder.is_dir():
      raise FileNotFoundError(f"no folder {data_dir} with prepared codes")
    if not (folder / _FILE).is_file():
      raise FileNotFoundError(
        f"{data_dir} holds no finished data set ({_FILE} is missing): run "
        "`stemgen-jax prepare` with this --out; it goes on where it stopped"
      )
    try:
      fields = json.loads((folder / _FILE).read_text(encoding="utf-8"))
      return cls(
        **fields,
        codebooks=np.load(folder / _CODEBOOKS, allow_pickle=False),
        silence=np.load(folder / _SILENCE, allow_pickle=False).astype(np.int32),
      )
    except (TypeError, ValueError, OSError) as error:
      raise ValueError(f"{folder / _FILE} is damaged: {error}") from error

  def save(self, data_dir: str | os.PathLike) -> None:
    """Writes the arrays, then the manifest in one step."""
    folder = pathlib.Path(data_dir)
    fields = {
      field.name: getattr(self, field.name)
      for field in dataclasses.fields(self)
    }
    np.save(folder / _CODEBOOKS, fields.pop("codebooks"))
    np.save(folder / _SILENCE, fields.pop("silence").astype(np.uint16))
    disk.write_json(folder / _FILE, fields)

  @staticmethod
  def remove(data_dir: str | os.PathLike) -> None:
    """Marks a data set as not finished."""
    pathlib.Path(data_dir, _FILE).unlink(missing_ok=True)


def bound_recipe(data_dir: str | os.PathLike) -> dict[str, Any]:
  """The recipe that a folder is bound to; {} if it is to none yet."""
  path = pathlib.Path(data_dir, RECIPE)
  return json.loads(path.read_text("utf-8")) if path.is_file() else {}
