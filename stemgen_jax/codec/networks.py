"""EnCodec's networks (arXiv 2210.13438): the only importer of its package."""

from typing import Any

from torch import Tensor, nn

from stemgen_jax.codec.config import NetworkConfig
from stemgen_jax.codec.without_torchaudio import importable_torchaudio

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


class Network(nn.Module):
  """EnCodec's encoder, quantizer and decoder."""

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
    # The order matters: it is that in which a seed draws the weights.
    self.encoder = SEANetEncoder(**shape)
    self.decoder = SEANetDecoder(**shape)
    self.quantizer = ResidualVectorQuantizer(
      dimension=config.latent, n_q=config.levels, bins=config.codes_per_level
    )

  def quantize(self, latents: Tensor) -> Tensor:
    """Return the codes [q, b, t] of latents [b, d, t]."""
    return self.quantizer.encode(latents, self.config.sample_rate)

  def dequantize(self, codes: Tensor) -> Tensor:
    """Return the latents [b, d, t] of codes [q, b, t]."""
    return self.quantizer.decode(codes)

  def books(self) -> list[Tensor]:
    """Return the codebook [v, d] of every level."""
    # Any: PyTorch types submodules as Tensor | Module.
    layers: Any = self.quantizer.vq.layers
    return [layer.codebook for layer in layers]
