"""Load the codecs that Meta AI published."""

import pathlib
from typing import TYPE_CHECKING

import torch

from stemgen_jax.codec import backends, key_mapping
from stemgen_jax.codec.config import CONFIGS
from stemgen_jax.codec.encodec import EncodecCodec
from stemgen_jax.codec.framing import Framing
from stemgen_jax.codec.segmented import SegmentedEncodecCodec

if TYPE_CHECKING:
  from stemgen_jax.codec.networks import Network


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
