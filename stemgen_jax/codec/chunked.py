"""EnCodec's networks on audio of any length, in bounded memory.

The convolutions work on stretches, with a margin on both sides that is more
than they see; the LSTM hands its state from one stretch to the next. So a long
file gives what it would give in one piece, but for rounding.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stemgen_jax.codec.networks import LSTM, Network

# In frames. No network here sees more than 8 before or after (tested).
_STRETCH = 1500
_MARGIN = 16


@torch.inference_mode()
def encode(network: Network, audio: Float[Tensor, "c n"]) -> Int[Tensor, "t q"]:
  """Codes of `ceil(n / hop)` frames; the layers pad the last one."""
  hop = network.config.hop
  layers, lstm, head = _around_lstm(network.encoder.model)
  if lstm is None:  # Then all layers are at work before frames are reached.
    layers, head = head, layers
  frames = -(-audio.shape[1] // hop)
  features = _in_stretches(layers, audio[None], frames, hop, 1)
  latents = head(_recur(lstm, features))
  parts = [
    network.quantizer.encode(part, network.config.sample_rate)[:, 0].T
    for part in latents.split(_STRETCH, dim=2)
  ]
  return torch.cat(parts)


@torch.inference_mode()
def decode(
  network: Network, codes: Int[Tensor, "t q"]
) -> Float[Tensor, "c samples"]:
  """Audio of `t * hop` samples."""
  stem, lstm, layers = _around_lstm(network.decoder.model)
  features = _recur(lstm, stem(network.quantizer.decode(codes.T[:, None])))
  return _in_stretches(layers, features, len(codes), 1, network.config.hop)[0]


def _around_lstm(
  layers: nn.Sequential,
) -> tuple[nn.Module, LSTM | None, nn.Module]:
  """The layers before the LSTM, the LSTM, those after it."""
  for place, layer in enumerate(layers):
    if isinstance(layer, LSTM):
      return layers[:place], layer, layers[place + 1 :]
  return layers[:0], None, layers


def _recur(
  lstm: LSTM | None, features: Float[Tensor, "1 d t"]
) -> Float[Tensor, "1 d t"]:
  """EnCodec's LSTM with its skip, stretch by stretch."""
  if lstm is None:
    return features
  state, parts = None, []
  for part in features.permute(2, 0, 1).split(_STRETCH):
    output, state = lstm.lstm(part, state)
    parts.append(output + part)
  return torch.cat(parts).permute(1, 2, 0)


def _in_stretches(
  layers: Callable[[Tensor], Tensor],
  signal: Float[Tensor, "1 d n"],
  frames: int,
  size: int,
  output_size: int,
) -> Float[Tensor, "1 d m"]:
  """`layers(signal)`; a frame has `size` values before, `output_size` after."""
  parts = []
  for start in range(0, frames, _STRETCH):
    first = max(0, start - _MARGIN)
    stop = start + _STRETCH + _MARGIN
    output = layers(signal[..., first * size : stop * size])
    output = output[..., (start - first) * output_size :]
    parts.append(output[..., : _STRETCH * output_size])
  return torch.cat(parts, dim=2)
