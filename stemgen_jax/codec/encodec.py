"""Codecs made of EnCodec's own classes (arXiv 2210.13438)."""

import contextlib
import dataclasses
import json
import math
import pathlib
import sys
import types
import warnings
from collections.abc import Callable

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import nn


@contextlib.contextmanager
def _importable_torchaudio():
  """Lets EnCodec import torchaudio where its own import fails.

  EnCodec imports it for file helpers that are never called here, and beside a
  CPU build of PyTorch it looks for CUDA libraries. The stand-ins are removed
  again so that nobody else takes them for the real package.
  """
  names = "torchaudio", "torchaudio.transforms"
  try:
    import torchaudio  # noqa: F401  # pyright: ignore

    stand_ins = {}
  except (ImportError, OSError):
    for name in [n for n in sys.modules if n.partition(".")[0] == names[0]]:
      del sys.modules[name]
    stand_ins = {name: types.ModuleType(name) for name in names}
  sys.modules.update(stand_ins)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      yield
  finally:
    for name in stand_ins:
      del sys.modules[name]


with _importable_torchaudio():
  from encodec.modules import SEANetDecoder, SEANetEncoder
  from encodec.quantization import ResidualVectorQuantizer

# Inference works on stretches of `_STRETCH` frames plus `_MARGIN` on both
# sides, so that memory is bounded. The margin is more than the networks see
# (4 frames before and after in the demo codec, tested).
_STRETCH = 1500
_MARGIN = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
  """Shape of the three networks.

  The defaults are the demo codec: 50 frames/s of 4 x 10 bits, 1.6M parameters.
  EnCodec's choices that are fixed here: no LSTM and zero padding, so that a
  code depends on its neighbourhood only; identity skips, for speed; no
  normalisation, which training folds into the convolutions.

  Attributes:
    sample_rate: samples per second.
    channels: audio channels.
    ratios: upsampling factors of the decoder; their product is the hop.
    filters: channels at the full sample rate; doubled at every ratio.
    latent: width of a frame's vector.
    levels: residual quantisers.
    codes_per_level: codes per quantiser.
  """

  sample_rate: int = 32_000
  channels: int = 1
  ratios: tuple[int, ...] = (8, 5, 4, 4)
  filters: int = 16
  latent: int = 64
  levels: int = 4
  codes_per_level: int = 1024

  @property
  def hop(self) -> int:
    """Samples per frame."""
    return math.prod(self.ratios)


class Network(nn.Module):
  """EnCodec's encoder, quantiser and decoder."""

  def __init__(self, config: NetworkConfig):
    super().__init__()
    shape = dict(
      channels=config.channels,
      dimension=config.latent,
      n_filters=config.filters,
      ratios=list(config.ratios),
      norm="none",
      pad_mode="constant",
      true_skip=True,
      lstm=0,
    )
    self.encoder = SEANetEncoder(**shape)
    self.decoder = SEANetDecoder(**shape)
    self.quantizer = ResidualVectorQuantizer(
      dimension=config.latent,
      n_q=config.levels,
      bins=config.codes_per_level,
    )


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
      item_codes[:] = _in_stretches(self._encode, frames)
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
      item[:] = _in_stretches(self._decode, item_codes.astype(np.int64))
    return audio.reshape(b, t * self.hop, self.channels)

  def codebooks(self) -> Float[np.ndarray, "q v latent"]:
    """The vector of every code of every level."""
    layers = self._network.quantizer.vq.layers
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
  function: Callable[[np.ndarray], np.ndarray], frames: np.ndarray
) -> np.ndarray:
  """`function` of frames, stretch by stretch; one item at a time.

  Batches would be no faster on a CPU, and PyTorch's results for an item differ
  in the last bits with the size of its batch.
  """
  results = []
  for start in range(0, len(frames), _STRETCH):
    first = max(0, start - _MARGIN)
    result = function(frames[first : start + _STRETCH + _MARGIN])
    results.append(result[start - first :][:_STRETCH])
  return np.concatenate(results) if results else frames[:0, :1]


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
  safetensors.torch.save_file(tensors, path)
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
