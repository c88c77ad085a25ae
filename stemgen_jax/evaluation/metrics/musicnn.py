"""musicnn (arXiv 1909.06654), an embedding trained to tag music.

Its weights are in its package (ISC licence), which needs TensorFlow and is not
imported.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from stemgen_jax import audio
from stemgen_jax.audio.analysis import librosa, quiet
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import notes, tensor_bundle
from stemgen_jax.evaluation.metrics.embeddings import Embedding

_RATE, _FFT, _HOP, _MELS = 16000, 512, 256, 96
_FRAMES = 187  # of 3 s, the windows that the network was trained on
_EPSILON = 1e-3  # of TensorFlow's batch normalization

Weights = Mapping[str, Array]


def load() -> Embedding:
  """Load the embedding of 200 dimensions per 3 s.

  Raises:
    ModuleNotFoundError: musicnn is not installed.
  """
  params = weights()

  def embed(sound: Features) -> np.ndarray:
    samples = audio.resample_mono(sound.mono, sound.sample_rate, _RATE)
    return np.asarray(penultimate(params, log_mel(samples)))

  return embed


@functools.cache
def weights() -> Weights:
  """Read the weights that were trained on MagnaTagATune."""
  spec = importlib.util.find_spec("musicnn")  # does not import it
  if spec is None or spec.origin is None:
    raise ModuleNotFoundError(
      f"musicnn is needed for its embedding: {notes.INSTALL}"
    )
  folder = pathlib.Path(spec.origin).parent / "MTT_musicnn"
  return {
    name: jnp.asarray(tensor)
    for name, tensor in tensor_bundle.read(folder).items()
    if "Adam" not in name  # state of the optimizer
  }


def log_mel(
  samples: Float32[np.ndarray, " n"],
) -> Float[np.ndarray, "windows 187 96"]:
  """Compute the network's input from sound at 16 kHz.

  A remainder of less than a window is dropped; a short sound is repeated.
  """
  with quiet():
    mel = librosa.feature.melspectrogram(
      y=samples, sr=_RATE, n_fft=_FFT, hop_length=_HOP, n_mels=_MELS
    ).T  # [t, mels]
  frames = np.log10(10000 * mel + 1).astype(np.float32)
  if len(frames) < _FRAMES:
    frames = np.resize(frames, (_FRAMES, _MELS))
  whole = len(frames) // _FRAMES
  return frames[: whole * _FRAMES].reshape(whole, _FRAMES, _MELS)


@jax.jit
def penultimate(
  w: Weights, mels: Float[Array, "b 187 96"]
) -> Float[Array, "b 200"]:
  """Compute the activations before the tags."""
  x = _normalize(w, 0, mels[..., None])  # [b, t, mels, 1]
  # Timbre: 7 frames by part of the bands. Tempo: one band over time.
  front = [
    _normalize(w, 1 + i, _convolve(w, i, x, pad)).max(axis=2)
    for i, pad in enumerate(((3, 3), (3, 3), (63, 64), (31, 32), (15, 16)))
  ]  # of [b, t, features]
  layers = [jnp.concatenate(front, axis=2)]
  for i in (5, 6, 7):
    y = _normalize(w, 1 + i, _convolve(w, i, layers[-1][..., None], (3, 3)))
    y = y[:, :, 0]  # [b, t, features]: the kernel has the width of its input
    layers.append(y if i == 5 else y + layers[-1])
  every = jnp.concatenate(layers, axis=2)
  # [b, features, 2], flattened in this order.
  pooled = jnp.stack([every.max(axis=1), every.mean(axis=1)], axis=2)
  x = _normalize(w, 9, pooled.reshape(len(pooled), -1))
  x = jax.nn.relu(x @ w["dense/kernel"] + w["dense/bias"][None])
  return _normalize(w, 10, x)


def _convolve(
  w: Weights, number: int, x: Float[Array, "b t f c"], pad: tuple[int, int]
) -> Float[Array, "b t g d"]:
  name = f"conv2d_{number}" if number else "conv2d"
  y = jax.lax.conv_general_dilated(
    x,
    w[f"{name}/kernel"],
    (1, 1),
    (pad, (0, 0)),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  return jax.nn.relu(y + w[f"{name}/bias"][None, None, None])


def _normalize(
  w: Weights, number: int, x: Float[Array, "*b c"]
) -> Float[Array, "*b c"]:
  name = "batch_normalization" + (f"_{number}" if number else "")
  mean, variance, scale, shift = (
    w[f"{name}/{part}"].reshape((1,) * (x.ndim - 1) + (-1,))
    for part in ("moving_mean", "moving_variance", "gamma", "beta")
  )
  return (x - mean) / jnp.sqrt(variance + _EPSILON) * scale + shift
