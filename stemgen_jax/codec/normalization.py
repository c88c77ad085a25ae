"""Batch norm while a codec trains; plain convolutions afterwards.

Without normalisation the codec rarely leaves the plateau "predict the mean
spectrum". EnCodec 48 kHz normalises over time (`time_group_norm`), which makes
the code of a frame depend on how loud it is 5 s away and how long the input
is. Batch norm gets off the plateau too, and once trained it is a fixed scale
and shift per channel that disappears in the convolution before it.
"""

import copy
from typing import Any

import torch
from torch import nn

from stemgen_jax.codec.networks import (
  Network,
  NormConv1d,
  NormConvTranspose1d,
)

# Of the statistics that are kept in the end: averages of some 50 batches, for
# a batch of a dozen clips says little of how loud music is.
_MOMENTUM = 0.02


def with_batch_norm(network: Network) -> Network:
  """A copy with batch norm after every convolution but the last.

  The latents' batch norm has no gain of its own, so that every dimension has
  unit variance and the commitment loss cannot shrink them.
  """
  network = copy.deepcopy(network)
  for part in (network.encoder, network.decoder):
    *convolutions, last = _convolutions(part)
    for convolution in convolutions:
      channels = _inner(convolution).out_channels
      convolution.norm = nn.BatchNorm1d(channels, momentum=_MOMENTUM)
    if part is network.encoder:
      channels = _inner(last).out_channels
      last.norm = nn.BatchNorm1d(channels, momentum=_MOMENTUM, affine=False)
  return network


@torch.no_grad()
def folded(network: Network) -> Network:
  """The same function in evaluation mode, without the batch norms."""
  network = copy.deepcopy(network)
  for part in (network.encoder, network.decoder):
    for convolution in _convolutions(part):
      norm, inner = convolution.norm, _inner(convolution)
      if isinstance(norm, nn.Identity):
        continue
      scale = (norm.running_var + norm.eps).rsqrt()
      shift = -norm.running_mean * scale
      if norm.affine:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
      # A transposed convolution's weight is [in, out, kernel].
      out = 1 if isinstance(convolution, NormConvTranspose1d) else 0
      inner.weight.transpose(0, out).mul_(scale[:, None, None])
      inner.bias.copy_(inner.bias * scale + shift)
      convolution.norm = nn.Identity()
  return network


def _convolutions(part: nn.Module) -> list[Any]:
  """EnCodec's wrappers of a convolution and its `norm`, first to last."""
  kinds = NormConv1d, NormConvTranspose1d
  return [module for module in part.modules() if isinstance(module, kinds)]


def _inner(wrapper: Any) -> Any:
  """The convolution itself; PyTorch's types say no more of it than Module."""
  return wrapper.conv if isinstance(wrapper, NormConv1d) else wrapper.convtr
