"""A codec of EnCodec's networks: encoding, decoding, its files."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int

from stemgen_jax.codec.networks import Network, NetworkConfig

# Inference works on stretches of `_STRETCH` frames plus `_MARGIN` on both
# sides, so that memory is bounded. The margin is more than the networks see
# (4 frames before and after in the demo codec, tested).
_STRETCH = 1500
_MARGIN = 16


class EncodecCodec:
  """A `codec.Codec` over a trained `Network`."""

  def __init__(
    self, name: str, config: NetworkConfig, network: Network, checksum: str
  ):
    self.name = name
    self.sample_rate = config.sample_rate
    self.channels = config.channels
    self.hop = config.hop
    self.frame_rate = config.sample_rate / config.hop
    self.levels = config.levels
    self.codes_per_level = config.codes_per_level
    self.checksum = checksum
    self._network = network.eval()

  def frames(self, samples: int) -> int:
    """Frames that cover so many samples."""
    return -(-samples // self.hop)

  def encode(
    self, audio: Float[np.ndarray, "b samples channels"]
  ) -> Int[np.ndarray, "b t q"]:
    """See `codec.Codec.encode`."""
    if audio.ndim != 3 or audio.shape[2] != self.channels:
      raise ValueError(
        f"audio has shape {audio.shape}: codec {self.name!r} expects"
        f" [batch, samples, {self.channels}]"
      )
    if not np.isfinite(audio).all():
      raise ValueError("audio has NaN or infinite samples")
    b, samples, _ = audio.shape
    t = self.frames(samples)
    codes = np.empty((b, t, self.levels), np.int32)
    for item, item_codes in zip(audio, codes):
      padded = np.pad(item, ((0, t * self.hop - samples), (0, 0)))
      frames = padded.reshape(t, self.hop, self.channels).astype(np.float32)
      _in_stretches(self._encode, frames, item_codes)
    return codes

  def decode(
    self, codes: Int[np.ndarray, "b t q"]
  ) -> Float[np.ndarray, "b samples channels"]:
    """See `codec.Codec.decode`."""
    if codes.ndim != 3 or codes.shape[2] != self.levels:
      raise ValueError(
        f"codes have shape {codes.shape}: codec {self.name!r} expects"
        f" [batch, frames, {self.levels}]"
      )
    last = self.codes_per_level - 1
    if codes.size and not 0 <= codes.min() <= codes.max() <= last:
      raise ValueError(
        f"code ids {codes.min()}..{codes.max()}: expected 0..{last}"
      )
    b, t, _ = codes.shape
    audio = np.empty((b, t, self.hop, self.channels), np.float32)
    for item_codes, item in zip(codes, audio):
      _in_stretches(self._decode, item_codes.astype(np.int64), item)
    return audio.reshape(b, t * self.hop, self.channels)

  def codebooks(self) -> Float[np.ndarray, "q v latent"]:
    """The vector of every code of every level."""
    layers: Any = self._network.quantizer.vq.layers
    return np.stack([layer.codebook.numpy() for layer in layers])

  def _encode(self, frames: np.ndarray) -> np.ndarray:
    audio = torch.from_numpy(frames).flatten(0, 1).T[None]  # [1, c, samples]
    latents = self._network.encoder(audio)
    codes = self._network.quantizer.encode(latents, self.sample_rate)
    return codes[:, 0].T.numpy()

  def _decode(self, codes: np.ndarray) -> np.ndarray:
    latents = self._network.quantizer.decode(torch.from_numpy(codes).T[:, None])
    audio = self._network.decoder(latents)[0].T  # [samples, c]
    return audio.reshape(len(codes), self.hop, self.channels).numpy()


@torch.inference_mode()
def _in_stretches(
  function: Callable[[np.ndarray], np.ndarray],
  frames: np.ndarray,
  out: np.ndarray,
) -> None:
  """`out[:] = function(frames)`, stretch by stretch, for one item.

  A batch would be no faster on a CPU, and PyTorch's results for an item differ
  in the last bits with the size of its batch.
  """
  for start in range(0, len(frames), _STRETCH):
    first = max(0, start - _MARGIN)
    result = function(frames[first : start + _STRETCH + _MARGIN])
    out[start : start + _STRETCH] = result[start - first :][:_STRETCH]


def save(
  path: pathlib.Path,
  name: str,
  config: NetworkConfig,
  network: Network,
  metadata: dict,
) -> str:
  """Writes PATH.safetensors and PATH.json; returns the weights' checksum."""
  from stemgen_jax.codec import codec

  tensors = {k: v.contiguous() for k, v in network.state_dict().items()}
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(safetensors.torch.save(tensors))
  checksum = codec.checksum(path)
  description = {
    "name": name,
    "checksum": checksum,
    "config": dataclasses.asdict(config),
    "metadata": metadata,
  }
  path.with_suffix(".json").write_text(json.dumps(description, indent=2) + "\n")
  return checksum


def load(path: pathlib.Path, checksum: str) -> EncodecCodec:
  """Reads what `save` wrote. Errors as in `codec.load`."""
  description_path = path.with_suffix(".json")
  if not description_path.is_file():
    raise FileNotFoundError(
      f"{path} needs its description beside it: no file {description_path}"
    )
  try:
    description = json.loads(description_path.read_text())
    name, expected = description["name"], description["checksum"]
    fields = description["config"]
    config = NetworkConfig(**fields | {"ratios": tuple(fields["ratios"])})
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f"{description_path} does not describe a codec: {error}"
    ) from error
  if checksum != expected:
    raise ValueError(
      f"{path} has checksum {checksum[:12]}, but {description_path.name}"
      f" belongs to {expected[:12]}: the file is damaged or of another export"
    )
  network = Network(config)
  try:
    network.load_state_dict(safetensors.torch.load_file(path))
  except (safetensors.SafetensorError, RuntimeError) as error:
    raise ValueError(f"{path} is damaged: {error}") from error
  return EncodecCodec(name, config, network, checksum)
