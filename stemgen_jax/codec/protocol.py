"""The interface of a codec."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int

from stemgen_jax.codec.framing import Framing


class Codec(Protocol):
  """Turns audio into `levels` codes per frame, coarse to fine, and back.

  Frame i stands for samples `[i * hop, (i + 1) * hop)`, with no lag, unless
  the codec is a `ScaledCodec`. Codes lie in `[0, codes_per_level)`. Results
  are deterministic, and an item's result does not depend on the other items of
  its batch.

  Attributes:
    name: what the codec is called, e.g. in a data set's manifest.
    sample_rate: samples per second, the only rate it accepts.
    channels: audio channels, the only number it accepts.
    frame_rate: frames per second, on average.
    hop: samples per frame.
    levels: codes per frame.
    codes_per_level: size of each level's codebook.
    checksum: sha256 in hex, of the weights file, or of the tensors in it for
      codecs whose weights are published in several kinds of files. It travels
      with everything made from the codes; codes of another checksum mean
      nothing to it.
  """

  name: str
  sample_rate: int
  channels: int
  frame_rate: float
  hop: int
  levels: int
  codes_per_level: int
  checksum: str

  def frames(self, samples: int) -> int:
    """Frames that cover so many samples; see `framing.Framing`."""
    ...

  def encode(
    self, audio: Float[np.ndarray, "b samples channels"]
  ) -> Int[np.ndarray, "b t q"]:
    """Codes, int32, of audio in -1..1; an unfinished last frame is padded.

    Raises:
      ValueError: the array is not `[b, samples, channels]`, or not finite.
    """
    ...

  def decode(
    self, codes: Int[np.ndarray, "b t q"]
  ) -> Float[np.ndarray, "b samples channels"]:
    """Audio, float32, of all samples of the frames. The caller trims it.

    Raises:
      ValueError: the array is not `[b, t, levels]`, or has an id that is not
        in `[0, codes_per_level)` (such as MASK).
    """
    ...

  def codebooks(self) -> Float[np.ndarray, "q v latent"]:
    """The vector of every code of every level, float32."""
    ...


@runtime_checkable
class ScaledCodec(Codec, Protocol):
  """A codec that hears segments of the audio at unit level.

  The scale of each segment is part of what it encodes, beside the codes. The
  methods of `Codec` work without scales, at one level for all segments.

  Attributes:
    framing: which samples and which frames each segment has.
  """

  framing: Framing

  def scales(
    self, audio: Float[np.ndarray, "b samples channels"]
  ) -> Float32[np.ndarray, "b segments"]:
    """Levels of the audio's segments, RMS, that `decode` wants back.

    Raises:
      ValueError: as `encode`.
    """
    ...

  def decode(
    self,
    codes: Int[np.ndarray, "b t q"],
    scales: Float[np.ndarray, "b segments"] | None = None,
  ) -> Float[np.ndarray, "b samples channels"]:
    """As `Codec.decode`; without scales, segments at music's usual level.

    Raises:
      ValueError: as `Codec.decode`, or there is not one scale, at least 0, of
        each segment of the t frames.
    """
    ...


def decode(
  codec: Codec,
  codes: Int[np.ndarray, "b t q"],
  scales: Float[np.ndarray, "b segments"] | None,
) -> Float[np.ndarray, "b samples channels"]:
  """`codec.decode`, with the scales that a `ScaledCodec`'s codes have."""
  if isinstance(codec, ScaledCodec):
    return codec.decode(codes, scales)
  return codec.decode(codes)
