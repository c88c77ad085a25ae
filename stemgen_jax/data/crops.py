"""Crops of records: where in a minute of music an example begins."""

import dataclasses
import functools
import zlib
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from stemgen_jax.categories import ROLES


@dataclasses.dataclass(frozen=True)
class Crop:
  """One record -> one example: a crop of it in which both sides sound.

  Every crop that is active enough is as likely as any other; where none is,
  one of those that have most is taken. It is chosen when a record is loaded,
  from the activity per second that the record carries.

  Attributes:
    window: frames of a crop.
    frame_rate: frames per second.
    min_active: share of a crop in which context and target sound together.
    segment_frames: if given, a crop begins with a segment of the codec, so
      that it can be decoded, and brings the scales of its target.
  """

  window: int
  frame_rate: float
  min_active: float
  segment_frames: int = 0

  def __call__(self, record: dict[str, Any], luck: float) -> dict[str, Any]:
    """The crop of a record, see `records.Records`, by luck of 0..1."""
    step = self.segment_frames or 1
    start = step * self._choose(record, luck, step)
    stop = start + self.window
    scales = {}
    if self.segment_frames:
      segments = slice(start // step, -(-stop // step))
      scales["target_scales"] = record["target_scales"][segments]
    return scales | {
      "context": record["context"][start:stop],
      "target": record["target"][start:stop],
      "category": record["category"],
      "genre": record["genre"],
      # Not known in data sets that are older than roles.
      "role": record.get("role", len(ROLES)),
      "song": zlib.crc32(record["song_id"]) >> 1,
    }

  def _choose(self, record: dict[str, Any], luck: float, step: int) -> int:
    """The number of the chosen one among the crops that begin on a step."""
    frames = len(record["target"])
    both = both_active(record["context_active"], record["target_active"])
    # Most crops are active enough: to try one takes a tenth of the time of
    # looking at all. What is left of the luck decides between all.
    place = luck * ((frames - self.window) // step + 1)
    first = int(place)
    seconds = _seconds(frames, self.frame_rate, len(both))
    tried = seconds[first * step : first * step + self.window]
    if np.count_nonzero(both[tried]) >= self.min_active * self.window:
      return first
    shares = active_shares(both, self.window, frames, self.frame_rate)[::step]
    enough = np.flatnonzero(shares >= min(self.min_active, shares.max()))
    return int(enough[int((place - first) * len(enough))])


def both_active(
  context: Bool[np.ndarray, " seconds"], target: Bool[np.ndarray, " seconds"]
) -> Bool[np.ndarray, " seconds"]:
  """The seconds in which both sound.

  An empty context is never active: there the target alone decides.
  """
  return target & context if context.any() else target


def active_shares(
  active: Bool[np.ndarray, " seconds"],
  window: int,
  frames: int,
  frame_rate: float,
) -> Float[np.ndarray, " starts"]:
  """Share of active frames in each crop of a record, by its first frame."""
  total = np.zeros(frames + 1, np.int64)
  np.cumsum(active[_seconds(frames, frame_rate, len(active))], out=total[1:])
  return (total[window:] - total[:-window]) / window


@functools.cache
def _seconds(
  frames: int, frame_rate: float, seconds: int
) -> Int[np.ndarray, " frames"]:
  """The second that each frame begins in."""
  return (np.arange(frames) / frame_rate).astype(int).clip(max=seconds - 1)
