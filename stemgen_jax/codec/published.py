"""The codecs that Meta AI published, as configurations of EnCodec's classes.

Of the two in the EnCodec paper (arXiv 2210.13438) the variants of 6 kbit/s: 8
levels at 24 kHz, 4 at 48 kHz. The one at 32 kHz is that of MusicGen (arXiv
2306.05284) and StemGen.
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

import torch

from stemgen_jax.codec import backends, key_mapping
from stemgen_jax.codec.config import NetworkConfig
from stemgen_jax.codec.encodec import EncodecCodec
from stemgen_jax.codec.framing import Framing
from stemgen_jax.codec.segmented import SegmentedEncodecCodec

if TYPE_CHECKING:
  from stemgen_jax.codec.networks import Network

# Reflection as transformers publishes these networks. audiocraft's default for
# 32 kHz is zeros, which gives other codes in the first and last few frames.
_COMMON = NetworkConfig(latent=128, levels=4, pad_mode="reflect", lstm=2)
CONFIGS = {
  "encodec_24khz": dataclasses.replace(
    _COMMON,
    sample_rate=24_000,
    ratios=(8, 5, 4, 2),
    filters=32,
    levels=8,
    causal=True,
    conv_skip=True,
  ),
  "encodec_32khz": dataclasses.replace(
    _COMMON,
    sample_rate=32_000,
    ratios=(8, 5, 4, 4),
    filters=64,
    codes_per_level=2048,
  ),
  "encodec_48khz": dataclasses.replace(
    _COMMON,
    sample_rate=48_000,
    channels=2,
    ratios=(8, 5, 4, 2),
    filters=32,
    norm="time_group_norm",
    conv_skip=True,
  ),
}


def load(
  name: str, path: pathlib.Path, device: str = "cpu", backend: str = "auto"
) -> EncodecCodec:
  """Load a published codec with the weights in a file, on a PyTorch device.

  Raises:
    ValueError: the file is corrupt, or has other weights.
  """
  network = backends.make(CONFIGS[name], backend)
  checksum = key_mapping.load_into(network, path)
  return codec_of(name, network, checksum, device)


def codec_of(
  name: str, network: "Network", checksum: str, device: str = "cpu"
) -> EncodecCodec:
  """Return a codec with the framing and padding of a published one."""
  config = network.config
  if name != "encodec_48khz":
    return EncodecCodec(name, network, checksum, zeros=False, device=device)
  # Segments of 1 s, 150 frames, every 0.99 s.
  framing = Framing(
    hop=config.hop,
    segment=config.sample_rate,
    stride=config.sample_rate * 99 // 100,
  )
  return SegmentedEncodecCodec(
    name, network, checksum, framing=framing, zeros=False, device=device
  )


def untrained(name: str, seed: int = 0, device: str = "cpu") -> EncodecCodec:
  """Return a published codec with random weights, for measurements.

  Its codebooks have the scale of its latents, so that it uses many codes.
  """
  torch.manual_seed(seed)
  network = backends.make(CONFIGS[name]).eval()
  config = network.config
  with torch.inference_mode():
    audio = 0.1 * torch.randn(1, config.channels, config.sample_rate)
    residual = network.encoder(audio)[0].T  # [t, d]
    for book in network.books():
      chosen = torch.randint(len(residual), (len(book),))
      spread = 0.3 * residual.std() * torch.randn_like(book)
      book.copy_(residual[chosen] + spread)
      nearest = torch.cdist(residual, book).argmin(1)
      residual = residual - book[nearest]
  return codec_of(name, network, "", device)
