"""Crops of records: choose the part of a segment that makes an example."""

import dataclasses
import functools
import zlib
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from stemgen_jax.categories import ROLES
from stemgen_jax.data.beats import Beats


@dataclasses.dataclass(frozen=True)
class Crop:
  """Turn a record into an example: a crop in which both sides sound.

  All crops that are active enough are equally likely; if there are none, one
  of the most active crops is drawn. The choice is made when a record is read,
  from the activity per second in the record.

  Attributes:
    window: frames of a crop.
    frame_rate: frames per second.
    min_active: share of a crop, 0..1, in which context and target must sound
      together.
    segment_frames: frames per segment of the codec; if not 0, crops begin with
      a segment, so that they can be decoded, and include the scales.
    beats: beats of the songs; None for examples without `place`.
  """

  window: int
  frame_rate: float
  min_active: float
  segment_frames: int = 0
  beats: Beats | None = None

  def __call__(self, record: dict[str, Any], u: float) -> dict[str, Any]:
    """Crop a record.

    Args:
      record: see `records.Records`.
      u: uniform random number in [0, 1) that chooses the crop.
    """
    step = self.segment_frames or 1
    start = self.first_frame(record, u)
    stop = start + self.window
    example = {
      "context": record["context"][start:stop],  # [window, q]
      "target": record["target"][start:stop],
      "category": record["category"],
      "genre": record["genre"],
      # Data sets made before there were roles lack it.
      "role": record.get("role", len(ROLES)),
      "song": zlib.crc32(record["song_id"]) >> 1,
    }
    if self.segment_frames:
      segments = slice(start // step, -(-stop // step))
      for name in ("context_scales", "target_scales"):
        example[name] = record[name][segments]
    return example | self.places(record, start)

  def places(self, record: dict[str, Any], first: int) -> dict[str, Any]:
    """Return `place`, int32 [window], of a crop; {} without beats.

    Args:
      record: a record of pairs or of stems.
      first: first frame of the crop.
    """
    if self.beats is None:
      return {}
    frames = first + np.arange(self.window)
    # The middle of a frame.
    seconds = record["start"] + (frames + 0.5) / self.frame_rate
    return {"place": self.beats.places(record["song_id"].decode(), seconds)}

  def first_frame(self, record: dict[str, Any], u: float) -> int:
    """Return the first frame of the crop of a record, see `__call__`."""
    step = self.segment_frames or 1
    return step * self._choose(record, u, step)

  def _choose(self, record: dict[str, Any], u: float, step: int) -> int:
    """Return the index of a crop among those that begin at a step."""
    frames = len(record["target"])
    both = both_active(record["context_active"], record["target_active"])
    # Most crops are active enough: trying one takes a tenth of the time of
    # examining all. If it is not, the fraction of `place` decides among all.
    place = u * ((frames - self.window) // step + 1)
    first = int(place)
    seconds = _seconds(frames, self.frame_rate, len(both))
    tried = seconds[first * step : first * step + self.window]
    if np.count_nonzero(both[tried]) >= self.min_active * self.window:
      return first
    shares = active_shares(both, self.window, frames, self.frame_rate)[::step]
    enough = np.flatnonzero(shares >= min(self.min_active, shares.max()))
    return int(enough[int((place - first) * len(enough))])


Active = Bool[np.ndarray, " seconds"]


def both_active(context: Active, target: Active) -> Active:
  """Return the seconds in which context and target sound.

  An empty context never sounds; then the target alone decides.
  """
  return target & context if context.any() else target


def active_shares(
  active: Active, window: int, frames: int, frame_rate: float
) -> Float[np.ndarray, " starts"]:
  """Return the share of active frames in each crop, by its first frame."""
  # Sums over crops as differences of cumulative sums, [frames + 1].
  total = np.zeros(frames + 1, np.int64)
  np.cumsum(active[_seconds(frames, frame_rate, len(active))], out=total[1:])
  return (total[window:] - total[:-window]) / window


@functools.cache
def _seconds(
  frames: int, frame_rate: float, seconds: int
) -> Int[np.ndarray, " frames"]:
  """Return the second in which each frame begins."""
  return (np.arange(frames) / frame_rate).astype(int).clip(max=seconds - 1)
