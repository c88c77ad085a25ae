"""VGGish (arXiv 1609.09430), the embedding of the paper's FAD.

Its weights are not shipped. They are read from a file in the layout of
torchvggish: tensors `features.N` (convolutions) and `embeddings.N`.
"""

import functools
import os
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stemgen_jax import audio
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics.embeddings import Embedding

_RATE, _WINDOW, _HOP, _FFT = 16000, 400, 160, 512
_FRAMES, _MELS = 96, 64  # per example of 0.96 s
_LOWEST, _HIGHEST = 125.0, 7500.0  # Hz
_OFFSET = 0.01  # before the logarithm
# Convolutions of torchvggish: layer number, and whether pooling follows.
_CONVOLUTIONS = ((0, True), (3, True), (6, False), (8, True), (11, False))
_CONVOLUTIONS += ((13, True),)
_DENSE = (0, 2, 4)
_CHANNELS = (64, 128, 256, 256, 512, 512)
_WIDTHS = (4096, 4096, 128)


def load(path: str | os.PathLike[str]) -> Embedding:
  """Load the embedding of 128 dimensions per 0.96 s, without whitening.

  Raises:
    FileNotFoundError: no such file.
    ValueError: the file does not have VGGish's tensors.
  """
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(
      f"no weights of VGGish at {path}; expected torchvggish's file"
    )
  from stemgen_jax.codec import key_mapping  # it imports PyTorch

  tensors = {
    name: np.asarray(tensor, np.float32)
    for name, tensor in key_mapping.read(pathlib.Path(path)).items()
    if name in _shapes()
  }
  for name, shape in _shapes().items():
    if name not in tensors or tensors[name].shape != shape:
      found = tensors[name].shape if name in tensors else "none"
      raise ValueError(
        f"{path}: {name} has shape {found}; expected {shape}, as in "
        "torchvggish's weights"
      )
  weights = {name: jnp.asarray(tensors[name]) for name in _shapes()}
  network = jax.jit(_network)

  def embed(sound: Features) -> np.ndarray:
    samples = audio.resample_mono(sound.mono, sound.sample_rate, _RATE)
    examples = log_mel(samples)
    return np.asarray(network(weights, examples))

  return embed


def log_mel(
  samples: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "examples 96 64"]:
  """Compute VGGish's log mel magnitudes of sound at 16 kHz."""
  # Pad short sounds to one example.
  least = _WINDOW + (_FRAMES - 1) * _HOP
  padded = np.pad(samples, (0, max(0, least - len(samples))))
  count = 1 + (len(padded) - _WINDOW) // _HOP
  # [t, window], then [t, bins] and [t, mels].
  frames = padded[np.arange(count)[:, None] * _HOP + np.arange(_WINDOW)]
  turn = 2 * np.pi * np.arange(_WINDOW) / _WINDOW
  magnitudes = np.abs(np.fft.rfft(frames * (0.5 - 0.5 * np.cos(turn)), _FFT))
  mels = np.log(magnitudes @ _mel_weights() + _OFFSET)
  # [t, mels] -> [examples, frames, mels]; a remainder is dropped.
  whole = len(mels) // _FRAMES
  return (
    mels[: whole * _FRAMES].reshape(whole, _FRAMES, _MELS).astype(np.float32)
  )


@functools.cache
def _mel_weights() -> Float[np.ndarray, "bins 64"]:
  """Return triangles in mel, not in Hz as librosa's are; bin 0 has weight 0."""

  def mel(hertz):
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

  # Edges of the bands: each triangle spans two neighbours.
  edges = np.linspace(mel(_LOWEST), mel(_HIGHEST), _MELS + 2)
  low, middle, high = edges[:-2], edges[1:-1], edges[2:]
  bins = mel(np.fft.rfftfreq(_FFT, 1 / _RATE))[:, None]
  rising, falling = (
    (bins - low) / (middle - low),
    (high - bins) / (high - middle),
  )
  weights = np.minimum(rising, falling).clip(0)
  weights[0] = 0  # the constant part
  return weights


def _shapes() -> Mapping[str, tuple[int, ...]]:
  shapes: dict[str, tuple[int, ...]] = {}
  inputs = 1
  for (layer, _), channels in zip(_CONVOLUTIONS, _CHANNELS):
    # PyTorch's layout: [out, in, height, width].
    shapes[f"features.{layer}.weight"] = (channels, inputs, 3, 3)
    shapes[f"features.{layer}.bias"] = (channels,)
    inputs = channels
  # Four poolings halve both axes.
  inputs *= (_FRAMES // 16) * (_MELS // 16)
  for layer, width in zip(_DENSE, _WIDTHS):
    shapes[f"embeddings.{layer}.weight"] = (width, inputs)
    shapes[f"embeddings.{layer}.bias"] = (width,)
    inputs = width
  return shapes


def _network(
  weights: Mapping[str, Array], examples: Float[Array, "b 96 64"]
) -> Float[Array, "b 128"]:
  x = examples[:, None]  # [b, channels, frames, mels]
  for layer, pooled in _CONVOLUTIONS:
    x = jax.lax.conv(x, weights[f"features.{layer}.weight"], (1, 1), "SAME")
    bias = weights[f"features.{layer}.bias"][None, :, None, None]
    x = jax.nn.relu(x + bias)
    if pooled:
      x = jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
      )
  x = x.transpose(0, 2, 3, 1).reshape(len(x), -1)  # channels last, as TF's
  for layer in _DENSE:
    x = x @ weights[f"embeddings.{layer}.weight"].T  # [b, width]
    x = jax.nn.relu(x + weights[f"embeddings.{layer}.bias"][None])
  return x
