"""Batch norm during the warm-up; plain convolutions afterwards.

Without normalization the codec rarely leaves the plateau "predict the mean
spectrum", or diverges. EnCodec 48 kHz normalizes over time
(`time_group_norm`), which makes the code of a frame depend on the loudness 5 s
away and on the length of the input. Batch norm trains as well, and its
statistics can be frozen: then it is a scale and a shift per channel, which can
be folded into the convolution before it.
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

# Initial standard deviations. ELU is nearly linear where they are small: a
# linear codec learns the waveform in a few hundred steps (measured), and
# nonlinear behavior develops from there.
_GAIN = 0.4
_BRANCH_GAIN = 0.1
_OUTPUT_SCALE = 0.1


@torch.no_grad()
def with_batch_norm(network: Network) -> Network:
  """Return a copy with batch norm after all convolutions but the last.

  The batch norm of the latents has no gain: the quantizer starts from unit
  variance in every dimension.
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
      # A quiet output first: the loss of silence is 1, that of noise is large.
      last.conv.weight.mul_(_OUTPUT_SCALE)
      last.conv.bias.zero_()
  return network


@torch.no_grad()
def folded(network: Network, batches: Iterable[Tensor]) -> Network:
  """Return a copy with batch norms folded into the convolutions.

  Their statistics are computed from the batches. The running averages of
  training would not do: the weights have changed since, and a dozen clips are
  far from the average of music.

  Args:
    network: network of `with_batch_norm`, trained.
    batches: audio `[b, c, samples]` for the statistics.
  """
  network = copy.deepcopy(network).train()
  for module in network.modules():
    if isinstance(module, nn.BatchNorm1d):
      module.reset_running_stats()
      module.momentum = None  # average over all batches
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
      # [out, in, kernel], but [in, out, kernel] if transposed.
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
  """Return EnCodec's wrappers of a convolution and its `norm`, in order."""
  kinds = NormConv1d, NormConvTranspose1d
  return [module for module in part.modules() if isinstance(module, kinds)]


def _inner(wrapper: Any) -> Any:
  """Return the convolution of a wrapper."""
  return wrapper.conv if isinstance(wrapper, NormConv1d) else wrapper.convtr
