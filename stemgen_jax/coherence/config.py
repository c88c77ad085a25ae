"""Shape of the coherence model, as plain fields; imports no JAX."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
  """Shape of both towers.

  Attributes:
    timing: width of the timing branch.
    harmony: width of the harmony branch per pitch class.
    detectors: note detectors per semitone.
    timing_blocks, harmony_blocks: blocks of each branch, whose dilations are
      1, 2, 4, ...
    timing_embedding: size of a frame's embedding in the timing branch.
    harmony_embedding: the same per pitch class.
  """

  timing: int = 64
  harmony: int = 16
  detectors: int = 8
  timing_blocks: int = 5
  harmony_blocks: int = 4
  timing_embedding: int = 32
  harmony_embedding: int = 8
