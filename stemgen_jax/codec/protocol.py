"""The interface of a codec."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int

from stemgen_jax.codec.config import NetworkConfig
from stemgen_jax.codec.framing import Framing

Samples = Float[np.ndarray, "b samples channels"]
Codes = Int[np.ndarray, "b t q"]


@runtime_checkable
class Codec(Protocol):
  """Encodes audio into `levels` codes per frame, coarse to fine, and back.

  Frame i covers samples `[i * hop, (i + 1) * hop)`, with no lag, unless the
  codec is a `ScaledCodec`. Codes are in `[0, codes_per_level)`. Results are
  deterministic, and an item's result does not depend on the other items of its
  batch.

  Attributes:
    name: name of the codec, for example in a data set's manifest.
    sample_rate: samples per second, the only rate it accepts.
    channels: audio channels, the only number it accepts.
    frame_rate: frames per second, on average.
    hop: samples per frame.
    levels: codes per frame.
    codes_per_level: size of each level's codebook.
    checksum: sha256 in hexadecimal digits, of the weights file, or of its
      tensors for codecs whose weights are published in several file formats.
      Everything made from codes stores it: a codec cannot decode the codes of
      another checksum.
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
    """Return the frames that cover so many samples; see `framing.Framing`."""
    ...

  def encode(self, audio: Samples) -> Codes:
    """Encode audio in -1..1 as int32 codes; pad an incomplete last frame.

    Raises:
      ValueError: the array is not `[b, samples, channels]`, or not finite.
    """
    ...

  def decode(self, codes: Codes) -> Samples:
    """Decode as float32 audio of all samples of the frames, untrimmed.

    Raises:
      ValueError: the array is not `[b, t, levels]`, or has an id outside
        `[0, codes_per_level)` (such as MASK).
    """
    ...

  def codebooks(self) -> Float[np.ndarray, "q v latent"]:
    """Return the vector of every code of every level, float32."""
    ...


# isinstance checks method names only; no plain codec has `scales`.
@runtime_checkable
class ScaledCodec(Codec, Protocol):
  """A codec that encodes segments of the audio at unit level.

  The scale of each segment is part of the encoded audio, next to the codes.
  The methods of `Codec` work without scales, at one level for all segments.

  Attributes:
    framing: samples and frames of each segment.
  """

  framing: Framing

  def scales(self, audio: Samples) -> Float32[np.ndarray, "b segments"]:
    """Return the RMS of the audio's segments, which `decode` takes.

    Raises:
      ValueError: as `encode`.
    """
    ...

  def decode(
    self, codes: Codes, scales: Float[np.ndarray, "b segments"] | None = None
  ) -> Samples:
    """Decode; without scales, all segments get the usual level of music.

    Raises:
      ValueError: as `Codec.decode`, or `scales` does not have one scale, at
        least 0, per segment of the t frames.
    """
    ...


def check_made_by(codec: Codec, name: str, checksum: str) -> None:
  """Raise ValueError unless `codec` is the one that made some codes."""
  if codec.checksum != checksum:
    raise ValueError(
      f"codec {codec.name!r} ({codec.checksum[:12]}): expected {name!r} "
      f"({checksum[:12]}), which made the codes; give that one as --codec"
    )


class NetworkFormat:
  """The attributes of a `Codec` over EnCodec's networks.

  Attributes, in addition to those of `Codec`:
    framing: relation of samples and frames.
    device: PyTorch device of the network.
  """

  def __init__(
    self,
    name: str,
    config: NetworkConfig,
    checksum: str,
    framing: Framing,
    device: str,
  ):
    self.name = name
    self.sample_rate = config.sample_rate
    self.channels = config.channels
    self.hop = config.hop
    self.framing = framing
    self.frame_rate = framing.frame_rate(config.sample_rate)
    self.levels = config.levels
    self.codes_per_level = config.codes_per_level
    self.checksum = checksum
    self.device = device

  def frames(self, samples: int) -> int:
    """See `Codec.frames`."""
    return self.framing.frames(samples)


def decode(
  codec: Codec, codes: Codes, scales: Float[np.ndarray, "b segments"] | None
) -> Samples:
  """Return `codec.decode`, with scales for a `ScaledCodec` alone."""
  if isinstance(codec, ScaledCodec):
    return codec.decode(codes, scales)
  return codec.decode(codes)
