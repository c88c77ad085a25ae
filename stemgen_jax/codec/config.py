"""The shape of EnCodec's networks, as plain fields; imports no PyTorch."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
  """Shape of the three networks.

  The defaults are the demo codec: 50 frames/s of 4 x 10 bits, 2.7M parameters.
  It has no LSTM and pads with zeros, so that a code depends on its
  neighborhood only; identity skips, for speed; and no normalization, see
  `normalization`. The published codecs differ, see `published`.

  Attributes:
    sample_rate: samples per second.
    channels: audio channels.
    ratios: upsampling factors of the decoder; their product is the hop.
    filters: channels at the full sample rate; doubled at every ratio.
    latent: width of a frame's vector.
    levels: residual quantizers.
    codes_per_level: codes per quantizer.
    norm: "none", or "time_group_norm": over channels and the whole input.
      Weight norm is "none" with its two factors multiplied beforehand.
    pad_mode: padding of the convolutions: "constant" (zeros) or "reflect".
    causal: whether convolutions see the past only.
    conv_skip: whether residual blocks skip through a convolution.
    lstm: layers of the LSTM between convolutions and latents.
  """

  sample_rate: int = 32_000
  channels: int = 1
  ratios: tuple[int, ...] = (2, 2, 2, 4, 4, 5)
  filters: int = 8
  latent: int = 128
  levels: int = 4
  codes_per_level: int = 1024
  norm: str = "none"
  pad_mode: str = "constant"
  causal: bool = False
  conv_skip: bool = False
  lstm: int = 0

  @property
  def hop(self) -> int:
    """Samples per frame."""
    return math.prod(self.ratios)
