"""The relation of samples and frames, defined here for all of the package."""

import dataclasses

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Framing:
  """The grid of a codec's frames.

  Without segments, frame i covers samples `[i * hop, (i + 1) * hop)`.

  A codec that normalizes segments (EnCodec 48 kHz) cuts the audio into
  segments of `segment` samples that begin every `stride` samples, and each
  segment has its own frames. Segments overlap, so frames overlap too: 150 of
  them for every 0.99 s. The last segment has the remaining samples, unless the
  one before it contains them already. (The `encodec` package makes one more
  segment of such a remainder, which is at most the overlap, 10 ms.) So frame i
  is always in segment `i // segment_frames`, and a number of frames determines
  the number of segments.

  Attributes:
    hop: samples per frame.
    segment: samples of a segment, a multiple of the hop; 0: no segments.
    stride: samples from the beginning of a segment to that of the next.
  """

  hop: int
  segment: int = 0
  stride: int = 0

  @property
  def segment_frames(self) -> int:
    """Frames of a whole segment; 0 without segments."""
    return self.segment // self.hop

  def frame_rate(self, sample_rate: int) -> float:
    """Return frames per second, on average where segments overlap."""
    if not self.segment:
      return sample_rate / self.hop
    return self.segment_frames * sample_rate / self.stride

  def frames(self, samples: int) -> int:
    """Return the number of frames that cover so many samples."""
    if not self.segment:
      return -(-samples // self.hop)
    before = max(0, self._covering(samples) - 1)
    rest = samples - before * self.stride
    # -(-rest // hop) rounds the last segment's frames up.
    return before * self.segment_frames - (-rest // self.hop)

  def samples(self, frames: int) -> int:
    """Return the number of samples that so many frames decode to."""
    if not self.segment:
      return frames * self.hop
    before = max(0, self.segments(frames) - 1)
    rest = frames - before * self.segment_frames
    # A last segment shorter than the overlap ends within the one before.
    end = (before - 1) * self.stride + self.segment if before else 0
    return max(end, before * self.stride + rest * self.hop)

  def segments(self, frames: int) -> int:
    """Return the segments, and so scales, of so many frames; 0 without."""
    return -(-frames // self.segment_frames) if self.segment else 0

  def spans(self, samples: int) -> list[tuple[int, int]]:
    """Return the first sample and the end of each segment."""
    return [
      (start, min(start + self.segment, samples))
      for start in range(0, self._covering(samples) * self.stride, self.stride)
    ]

  def begins(self, frames: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Return the first sample of each frame.

    In the overlap of two segments, the earlier segment ends where the later
    one begins.

    Args:
      frames: frame numbers.
    """
    if not self.segment:
      return frames * self.hop
    segment, within = np.divmod(frames, self.segment_frames)
    return segment * self.stride + np.minimum(within * self.hop, self.stride)

  def _covering(self, samples: int) -> int:
    """Return the smallest number of segments that hold so many samples."""
    overlap = self.segment - self.stride
    return max(-(-(samples - overlap) // self.stride), int(samples > 0))
