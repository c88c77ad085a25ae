"""A fixed list of examples as codes, small enough to ship as one file."""

import dataclasses
import os
import pathlib

import numpy as np
from jaxtyping import Float32, Int32

from stemgen_jax import disk
from stemgen_jax.categories import ROLES

"""The held-out examples that come with the demo weights."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examples:
  """Examples to judge a model by.

  Attributes:
    context: codes of what is heard, int32 [n, t, q].
    target: codes of what was played to it, int32 [n, t, q].
    category: id of the target's category, int32 [n].
    genre: id of the song's genre, int32 [n].
    song: id of the song, text [n].
    silence: codes of silence, int32 [t, q].
    codec: name of the codec that made the codes.
    checksum: of that codec's weights.
    role: id of the target's role, int32 [n]; None where no role is known.
    target_scales: for a codec with scales, those of the targets' segments,
      float32 [n, segments]. Then every example begins with a segment.
  """

  context: Int32[np.ndarray, "n t q"]
  target: Int32[np.ndarray, "n t q"]
  category: Int32[np.ndarray, " n"]
  genre: Int32[np.ndarray, " n"]
  song: np.ndarray
  silence: Int32[np.ndarray, "t q"]
  codec: str
  checksum: str
  role: Int32[np.ndarray, " n"] | None = None
  target_scales: Float32[np.ndarray, "n segments"] | None = None

  def __len__(self) -> int:
    return len(self.target)

  def condition(self, name: str) -> Int32[np.ndarray, " n"]:
    """Ids of a condition by its name, the null's where it is not known."""
    if name == "role" and self.role is None:
      return np.full(len(self), len(ROLES), np.int32)
    return getattr(self, name)

  def first(self, count: int) -> "Examples":
    """The first `count` examples, or all if there are fewer."""
    whole = ("silence", "codec", "checksum")
    return dataclasses.replace(
      self,
      **{
        name: value[:count]
        for name, value in vars(self).items()
        if name not in whole and value is not None
      },
    )

  def crop(self, window: int) -> "Examples":
    """The first `window` frames of every example, without scales."""
    return dataclasses.replace(
      self,
      context=self.context[:, :window],
      target=self.target[:, :window],
      silence=self.silence[:window],
      target_scales=None,
    )

  def save(self, path: str | os.PathLike) -> None:
    """Writes an .npz, codes as uint16, in one step."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
      name: value.astype(np.uint16) if name in _CODES else value
      for name, value in vars(self).items()
      if value is not None
    }
    with disk.replacing(path) as partial, open(partial, "wb") as file:
      np.savez_compressed(file, **arrays)

  @classmethod
  def load(cls, path: str | os.PathLike) -> "Examples":
    """Reads what `save` wrote.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not such a file, or a damaged one.
    """
    if not pathlib.Path(path).is_file():
      raise FileNotFoundError(f"no file {path} with held-out examples")
    try:
      with disk.open_npz(path) as arrays:
        fields = {name: arrays[name] for name in arrays.files}
      fields |= {name: fields[name].astype(np.int32) for name in _CODES}
      fields |= {name: str(fields[name]) for name in ("codec", "checksum")}
      return cls(**fields)
    except disk.NPZ_ERRORS as error:
      raise ValueError(
        f"{path} is no file of held-out examples, or a damaged one ({error}): "
        "expected an .npz of stemgen-jax prepare --export_heldout"
      ) from error


_CODES = ("context", "target", "silence")
