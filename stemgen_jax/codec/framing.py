"""How samples and frames correspond: defined here, used wherever they meet."""

import dataclasses

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Framing:
  """The grid of a codec's frames.

  Without segments, frame i stands for samples `[i * hop, (i + 1) * hop)`.

  A codec that normalises segments (EnCodec 48 kHz) cuts the audio into pieces
  of `segment` samples that begin every `stride` samples, and each piece has
  frames of its own. Pieces overlap, so there are more frames than samples for
  them: 150 for every 0.99 s. The last piece is what is left, and is no longer
  than it must be: a rest that the piece before holds already gives none. (The
  `encodec` package makes one more piece of such a rest, which is at most the
  overlap, 10 ms.) So frame i always lies in piece `i // segment_frames`, and
  so many frames can come from audio of one number of pieces only.

  Attributes:
    hop: samples per frame.
    segment: samples of a segment, a multiple of the hop; 0: no segments.
    stride: samples from one segment's beginning to the next one's.
  """

  hop: int
  segment: int = 0
  stride: int = 0

  @property
  def segment_frames(self) -> int:
    """Frames of a whole segment; 0 without segments."""
    return self.segment // self.hop

  def frame_rate(self, sample_rate: int) -> float:
    """Frames per second, the mean where segments overlap."""
    if not self.segment:
      return sample_rate / self.hop
    return self.segment_frames * sample_rate / self.stride

  def frames(self, samples: int) -> int:
    """Frames that cover so many samples."""
    if not self.segment:
      return -(-samples // self.hop)
    before = max(0, self._covering(samples) - 1)
    rest = samples - before * self.stride
    return before * self.segment_frames - (-rest // self.hop)

  def samples(self, frames: int) -> int:
    """Samples that so many frames decode to."""
    if not self.segment:
      return frames * self.hop
    before = max(0, self.segments(frames) - 1)
    rest = frames - before * self.segment_frames
    # A last segment shorter than the overlap lies within the one before.
    end = (before - 1) * self.stride + self.segment if before else 0
    return max(end, before * self.stride + rest * self.hop)

  def segments(self, frames: int) -> int:
    """Segments, and so scales, of so many frames; 0 without segments."""
    return -(-frames // self.segment_frames) if self.segment else 0

  def spans(self, samples: int) -> list[tuple[int, int]]:
    """Where the segments of so many samples begin and end."""
    return [
      (start, min(start + self.segment, samples))
      for start in range(0, self._covering(samples) * self.stride, self.stride)
    ]

  def begins(self, frames: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """The sample that a frame begins with and the one before it ends with.

    In the overlap of two segments, that is where the later one begins.

    Args:
      frames: their numbers.
    """
    if not self.segment:
      return frames * self.hop
    segment, within = np.divmod(frames, self.segment_frames)
    return segment * self.stride + np.minimum(within * self.hop, self.stride)

  def _covering(self, samples: int) -> int:
    """The least number of segments that hold so many samples."""
    overlap = self.segment - self.stride
    return max(-(-(samples - overlap) // self.stride), int(samples > 0))
