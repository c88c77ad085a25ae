"""Untrained codecs that frame, pad and scale as the published ones."""

import dataclasses
from typing import Any

import torch

from stemgen_jax.codec import networks, published
from stemgen_jax.codec.encodec import EncodecCodec
from stemgen_jax.codec.training import quantizer


def random_codec(name: str, *, filters: int = 2) -> EncodecCodec:
  """A codec of `filters` filters and of the published levels and rates."""
  network = random_network(name, filters=filters)
  return published.codec_of(name, network, "c" * 64)


def random_network(
  name: str, *, seed: int = 0, **changes: Any
) -> networks.Network:
  """A network whose codes are of use: its codebooks are like its latents.

  Args:
    name: of the published codec.
    seed: of the weights.
    changes: to its configuration.
  """
  torch.manual_seed(seed)
  small = {"filters": 2, "latent": 16, "codes_per_level": 64}
  config = dataclasses.replace(published.CONFIGS[name], **small | changes)
  network = networks.Network(config).eval()
  with torch.no_grad():
    audio = torch.randn(1, config.channels, config.sample_rate)
    fill_codebooks(
      network.encoder(audio)[0].T, quantizer.books(network.quantizer)
    )
  return network


def fill_codebooks(latents, books) -> None:
  """Makes codebooks of latents [n, d], each of what the last one leaves."""
  for book in books:
    chosen = torch.randint(len(latents), (len(book.embed),))
    spread = 0.3 * latents.std() * torch.randn_like(book.embed)
    book.embed.copy_(latents[chosen] + spread)
    nearest = torch.cdist(latents, book.embed).argmin(1)
    latents = latents - book.embed[nearest]
