"""EnCodec's networks (arXiv 2210.13438): the only importer of its package."""

import contextlib
import dataclasses
import importlib.machinery
import math
import sys
import types
import warnings
from typing import Any

from torch import nn


@contextlib.contextmanager
def importable_torchaudio():
  """Lets others import torchaudio where its own import fails.

  EnCodec and transformers import it for helpers that are never called here,
  and beside a CPU build of PyTorch it looks for CUDA libraries. The stand-ins
  are removed again so that nobody else takes them for the real package.
  """
  names = "torchaudio", "torchaudio.transforms"
  try:
    import torchaudio  # noqa: F401

    stand_ins = {}
  except (ImportError, OSError, RuntimeError):
    for name in [n for n in sys.modules if n.partition(".")[0] == names[0]]:
      del sys.modules[name]
    stand_ins = {name: types.ModuleType(name) for name in names}
    for name, module in stand_ins.items():
      module.__spec__ = importlib.machinery.ModuleSpec(name, None)
  sys.modules.update(stand_ins)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      yield
  finally:
    for name in stand_ins:
      del sys.modules[name]


with importable_torchaudio():
  from encodec.modules.conv import NormConv1d, NormConvTranspose1d
  from encodec.modules.lstm import SLSTM as LSTM
  from encodec.modules.seanet import SEANetDecoder, SEANetEncoder
  from encodec.modules.seanet import SEANetResnetBlock as ResidualBlock
  from encodec.quantization.vq import ResidualVectorQuantizer

__all__ = [
  "LSTM",
  "Network",
  "NetworkConfig",
  "NormConv1d",
  "NormConvTranspose1d",
  "ResidualBlock",
  "ResidualVectorQuantizer",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
  """Shape of the three networks.

  The defaults are the demo codec: 50 frames/s of 4 x 10 bits, 2.7M parameters.
  There is no LSTM and the padding is zeros, so that a code depends on its
  neighbourhood only; skips are identities, for speed; there is no
  normalisation, see `normalization`. The published codecs choose otherwise.

  Attributes:
    sample_rate: samples per second.
    channels: audio channels.
    ratios: upsampling factors of the decoder; their product is the hop.
    filters: channels at the full sample rate; doubled at every ratio.
    latent: width of a frame's vector.
    levels: residual quantisers.
    codes_per_level: codes per quantiser.
    norm: "none", or "time_group_norm": over channels and the whole input.
      Weight norm is "none" with its two factors multiplied beforehand.
    pad_mode: of the convolutions: "constant" (zeros) or "reflect".
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


class Network(nn.Module):
  """EnCodec's encoder, quantiser and decoder."""

  def __init__(self, config: NetworkConfig):
    super().__init__()
    self.config = config
    shape: dict[str, Any] = dict(
      channels=config.channels,
      dimension=config.latent,
      n_filters=config.filters,
      ratios=list(config.ratios),
      norm=config.norm,
      pad_mode=config.pad_mode,
      causal=config.causal,
      true_skip=not config.conv_skip,
      lstm=config.lstm,
    )
    self.encoder = SEANetEncoder(**shape)
    self.decoder = SEANetDecoder(**shape)
    self.quantizer = ResidualVectorQuantizer(
      dimension=config.latent,
      n_q=config.levels,
      bins=config.codes_per_level,
    )
