"""A fixed list of examples as codes, small enough to ship as one file."""

import dataclasses
import pathlib

import numpy as np
from jaxtyping import Bool, Float32, Int32

from stemgen_jax import disk, recipes
from stemgen_jax.audio import spectrum as spectrum_lib
from stemgen_jax.categories import ROLES
from stemgen_jax.model import scales as scales_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examples:
  """Examples to evaluate a model on.

  Attributes:
    context: codes of the contexts, int32 [n, t, q].
    target: codes of the targets, int32 [n, t, q].
    category: category ids of the targets, int32 [n].
    genre: genre ids of the songs, int32 [n].
    song: ids of the songs, text [n].
    silence: codes of silence, int32 [t, q].
    codec: name of the codec that made the codes.
    checksum: sha256 of the codec's weights.
    role: role ids of the targets, int32 [n]; None if no role is known.
    target_scales: scales of the targets' segments, float32 [n, segments], for
      a codec with scales; then every example begins with a segment.
    context_scales: those of the contexts; None in files of earlier versions.
    spectrum: features of the contexts' spectra, float32 [n, t, bands]; None if
      the data have none.
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
  context_scales: Float32[np.ndarray, "n segments"] | None = None
  spectrum: Float32[np.ndarray, "n t bands"] | None = None

  def __len__(self) -> int:
    return len(self.target)

  def condition(self, name: str) -> Int32[np.ndarray, " n"]:
    """Return the ids of a condition by name; unknown roles get the null id."""
    if name == "role" and self.role is None:
      return np.full(len(self), len(ROLES), np.int32)
    return getattr(self, name)

  def inputs(self, kind: str) -> np.ndarray:
    """Return the contexts as a model with `context=kind` reads them.

    Raises:
      ValueError: spectra, which the examples do not have.
    """
    if kind == "codes":
      return self.context
    if self.spectrum is None:
      raise ValueError(
        "the examples have no spectra of contexts, which these weights read; "
        "expected examples of data that were prepared with --contexts=spectrum"
      )
    return self.spectrum

  def silence_inputs(self, kind: str) -> np.ndarray:
    """Return silence as such a model reads it, [t, ...]."""
    if kind == "codes":
      return self.silence
    frames = len(self.silence)
    return spectrum_lib.log_magnitudes(np.zeros((frames, spectrum_lib.BANDS)))

  def with_scales(self, frames: int) -> "Examples":
    """Return the examples with the column of scale tokens in all codes.

    Args:
      frames: `scale_frames` of the model; with 0 the examples stay as they are.

    Raises:
      ValueError: the examples lack scales.
    """
    if not frames:
      return self
    if self.context_scales is None or self.target_scales is None:
      raise ValueError(
        "the examples have no scales of segments, which these weights read: "
        "expected examples of data of a codec with scales; export them again"
      )
    none = np.zeros(-(-len(self.silence) // frames))
    return dataclasses.replace(
      self,
      context=scales_lib.join(self.context, self.context_scales, frames),
      target=scales_lib.join(self.target, self.target_scales, frames),
      silence=scales_lib.join(self.silence, none, frames),
    )

  def select(self, rows: slice | Bool[np.ndarray, " n"]) -> "Examples":
    """Return the examples of some rows."""
    shared = ("silence", "codec", "checksum")  # not per example
    selected = {
      name: value[rows]
      for name, value in vars(self).items()
      if name not in shared and value is not None
    }
    return dataclasses.replace(self, **selected)

  def crop(self, window: int) -> "Examples":
    """Return the first `window` frames of every example, without scales."""
    return dataclasses.replace(
      self,
      context=self.context[:, :window],  # [n, window, q]
      target=self.target[:, :window],
      silence=self.silence[:window],
      target_scales=None,
      context_scales=None,
      spectrum=None if self.spectrum is None else self.spectrum[:, :window],
    )

  def save(self, path: disk.Path) -> None:
    """Write an .npz in one step, codes as uint16."""
    path = pathlib.Path(path)
    arrays = {
      name: value.astype(_STORED[name]) if name in _STORED else value
      for name, value in vars(self).items()
      if value is not None
    }
    with disk.replacing(path) as file:
      np.savez_compressed(file, **arrays)

  @classmethod
  def load(cls, path: disk.Path) -> "Examples":
    """Read the file that `save` wrote.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another kind of file, or a corrupt one.
    """
    if not pathlib.Path(path).is_file():
      raise FileNotFoundError(f"no file {path} with held-out examples")
    try:
      fields = disk.read_npz(path, "export it again")
      for name in set(_STORED) & set(fields):
        kind = fields[name].dtype.kind
        if kind in "iu":
          fields[name] = fields[name].astype(np.int32)
        elif kind == "f" and name == "spectrum":
          fields[name] = fields[name].astype(np.float32)
      for name in {"codec", "checksum"} & set(fields):
        fields[name] = str(fields[name])
      # The annotations check dtypes and axes.
      return recipes.build(cls, fields)
    except ValueError as error:
      raise ValueError(
        f"{path} is not a file of held-out examples, or a corrupt one "
        f"({error}): expected an .npz of stemgen-jax prepare --export_heldout"
      ) from error


_STORED = dict.fromkeys(("context", "target", "silence"), np.uint16) | {
  "spectrum": np.float16
}
