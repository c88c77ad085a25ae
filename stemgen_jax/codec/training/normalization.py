"""Batch norm while a codec gets going; plain convolutions afterwards.

Without normalisation the codec rarely leaves the plateau "predict the mean
spectrum", or explodes. EnCodec 48 kHz normalises over time
(`time_group_norm`), which makes the code of a frame depend on how loud it is
5 s away and how long the input is. Batch norm does as well in training, and
its statistics can be frozen: then it is a scale and a shift per channel, which
disappear in the convolution before it.
"""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stemgen_jax.codec.networks import (
  Network,
  NormConv1d,
  NormConvTranspose1d,
  ResidualBlock,
)

# Standard deviations that training starts from. ELU is nearly linear where they
# are small: a linear codec learns the waveform in a few hundred steps, and the
# rest bends from there.
_GAIN = 0.4
_BRANCH_GAIN = 0.1
_OUTPUT_SCALE = 0.1


@torch.no_grad()
def with_batch_norm(network: Network) -> Network:
  """A copy, to be trained, with batch norm after all convolutions but the last.

  The latents' batch norm has no gain of its own: every dimension ends with unit
  variance, for the quantiser to start from.
  """
  network = copy.deepcopy(network)
  for part in (network.encoder, network.decoder):
    *convolutions, last = _convolutions(part)
    for convolution in convolutions:
      convolution.norm = _batch_norm(convolution, _GAIN)
    for module in part.modules():
      if isinstance(module, ResidualBlock):
        branch = _convolutions(module)[-1]
        branch.norm = _batch_norm(branch, _BRANCH_GAIN)
    if part is network.encoder:
      channels = _inner(last).out_channels
      last.norm = nn.BatchNorm1d(channels, affine=False)
    else:
      last.conv.weight.mul_(_OUTPUT_SCALE)
      last.conv.bias.zero_()
  return network


@torch.no_grad()
def folded(network: Network, batches: Iterable[Tensor]) -> Network:
  """A copy without batch norms, whose statistics are those of the batches.

  The running averages of training are of no use: the weights have moved since,
  and what a dozen clips give is far from what music gives on average.

  Args:
    network: what `with_batch_norm` made, trained.
    batches: audio `[b, c, samples]` to take the statistics from.
  """
  network = copy.deepcopy(network).train()
  for module in network.modules():
    if isinstance(module, nn.BatchNorm1d):
      module.reset_running_stats()
      module.momentum = None  # The plain mean over batches.
  for audio in batches:
    network.decoder(network.encoder(audio))
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


def _batch_norm(wrapper: Any, gain: float) -> nn.BatchNorm1d:
  norm = nn.BatchNorm1d(_inner(wrapper).out_channels)
  nn.init.constant_(norm.weight, gain)
  return norm


def _convolutions(part: nn.Module) -> list[Any]:
  """EnCodec's wrappers of a convolution and its `norm`, first to last."""
  kinds = NormConv1d, NormConvTranspose1d
  return [module for module in part.modules() if isinstance(module, kinds)]


def _inner(wrapper: Any) -> Any:
  """The convolution itself; PyTorch's types say no more of it than Module."""
  return wrapper.conv if isinstance(wrapper, NormConv1d) else wrapper.convtr
