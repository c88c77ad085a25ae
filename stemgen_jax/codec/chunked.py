"""EnCodec's networks on audio of any length, in bounded memory.

The convolutions run on chunks with a margin on both sides that exceeds their
receptive field; the LSTM passes its state from chunk to chunk. So the result
is that of one piece, except for rounding.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

if TYPE_CHECKING:
  from stemgen_jax.codec.networks import LSTM, Network

# Frames. A receptive field is at most 8 frames before and after (measured;
# tested for every network here).
_CHUNK = 1500
_MARGIN = 16

Features = Float[Tensor, "1 d t"]


@torch.inference_mode()
def encode(
  network: "Network", audio: Float[Tensor, "c n"]
) -> Int[Tensor, "t q"]:
  """Encode into `ceil(n / hop)` frames; the layers pad the last one."""
  hop = network.config.hop
  layers, lstm, head = _around_lstm(network.encoder.model)
  if lstm is None:  # Then all layers are in `head`: run them before framing.
    layers, head = head, layers
  frames = -(-audio.shape[1] // hop)
  features = _in_chunks(layers, audio[None], frames, hop, 1)
  latents = head(_recur(lstm, features))  # [1, d, t]
  parts = [
    network.quantize(part)[:, 0].T for part in latents.split(_CHUNK, dim=2)
  ]
  return torch.cat(parts)


@torch.inference_mode()
def decode(
  network: "Network", codes: Int[Tensor, "t q"]
) -> Float[Tensor, "c samples"]:
  """Decode into audio of `t * hop` samples."""
  stem, lstm, layers = _around_lstm(network.decoder.model)
  # The quantizer takes codes as [q, b, t].
  features = _recur(lstm, stem(network.dequantize(codes.T[:, None])))
  return _in_chunks(layers, features, len(codes), 1, network.config.hop)[0]


def _around_lstm(
  layers: nn.Sequential,
) -> tuple[nn.Module, "LSTM | None", nn.Module]:
  """Split into the layers before the LSTM, the LSTM, and those after it."""
  for place, layer in enumerate(layers):
    if hasattr(layer, "lstm"):  # of either backend
      return layers[:place], layer, layers[place + 1 :]  # type: ignore
  return layers[:0], None, layers


def _recur(lstm: "LSTM | None", features: Features) -> Features:
  """Apply EnCodec's LSTM with its skip, chunk by chunk."""
  if lstm is None:
    return features
  state, parts = None, []
  for part in features.permute(2, 0, 1).split(_CHUNK):  # [t, 1, d]
    output, state = lstm.lstm(part, state)
    parts.append(output + part)
  return torch.cat(parts).permute(1, 2, 0)


def _in_chunks(
  layers: Callable[[Tensor], Tensor],
  signal: Float[Tensor, "1 d n"],
  frames: int,
  size: int,
  output_size: int,
) -> Float[Tensor, "1 d m"]:
  """Return `layers(signal)`, computed in chunks.

  Args:
    layers: convolutions.
    signal: input of all frames.
    frames: number of frames.
    size: values per frame of the input.
    output_size: values per frame of the output.
  """
  parts = []
  for start in range(0, frames, _CHUNK):
    first = max(0, start - _MARGIN)
    stop = start + _CHUNK + _MARGIN
    output = layers(signal[..., first * size : stop * size])
    output = output[..., (start - first) * output_size :]
    parts.append(output[..., : _CHUNK * output_size])
  return torch.cat(parts, dim=2)
