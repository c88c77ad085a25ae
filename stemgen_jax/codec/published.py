"""The codecs that Meta AI published, as configurations of EnCodec's classes.

6 kbit/s of the two of the EnCodec paper (arXiv 2210.13438): 8 levels at 24 kHz,
4 at 48 kHz. The one at 32 kHz is MusicGen's (arXiv 2306.05284) and StemGen's.
"""

import pathlib

from stemgen_jax.codec import key_mapping
from stemgen_jax.codec.encodec import EncodecCodec
from stemgen_jax.codec.framing import Framing
from stemgen_jax.codec.networks import Network, NetworkConfig
from stemgen_jax.codec.segmented import SegmentedEncodecCodec

# Padding of the 32 kHz networks as transformers publishes them. audiocraft's
# default is zeros instead: other codes in the first and last few frames.
CONFIGS = {
  "encodec_24khz": NetworkConfig(
    sample_rate=24_000,
    ratios=(8, 5, 4, 2),
    filters=32,
    latent=128,
    levels=8,
    pad_mode="reflect",
    causal=True,
    conv_skip=True,
    lstm=2,
  ),
  "encodec_32khz": NetworkConfig(
    sample_rate=32_000,
    ratios=(8, 5, 4, 4),
    filters=64,
    latent=128,
    levels=4,
    codes_per_level=2048,
    pad_mode="reflect",
    lstm=2,
  ),
  "encodec_48khz": NetworkConfig(
    sample_rate=48_000,
    channels=2,
    ratios=(8, 5, 4, 2),
    filters=32,
    latent=128,
    levels=4,
    norm="time_group_norm",
    pad_mode="reflect",
    conv_skip=True,
    lstm=2,
  ),
}


def load(name: str, path: pathlib.Path) -> EncodecCodec:
  """The published codec of that name, with the weights in a file.

  Raises:
    ValueError: the file is damaged, or holds other weights.
  """
  network = Network(CONFIGS[name])
  checksum = key_mapping.load_into(network, path)
  return codec_of(name, network, checksum)


def codec_of(name: str, network: Network, checksum: str) -> EncodecCodec:
  """A codec that frames and pads as the published one of that name."""
  config = network.config
  if name != "encodec_48khz":
    return EncodecCodec(name, network, checksum, zeros=False)
  # A second of 150 frames, every 0.99 s.
  framing = Framing(
    hop=config.hop,
    segment=config.sample_rate,
    stride=config.sample_rate * 99 // 100,
  )
  return SegmentedEncodecCodec(
    name, network, checksum, framing=framing, zeros=False
  )
