"""The two towers of the coherence model, and how it compares their outputs.

As in COCOLA (arXiv 2404.16969) one encoder embeds the context and another the
stem, and a bilinear form compares them. Here every frame is embedded, in a
timing branch (20 ms) and a harmony branch (80 ms, a vector per pitch class),
and similarities are averaged over time: stems that are shifted, stretched or
transposed match in fewer frames.

The harmony branch has the same weights at all twelve pitch classes, so that it
knows all keys from the start, and transposing a stem rolls its embeddings.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from stemgen_jax.audio.spectrum import ONSETS, SEMITONES
from stemgen_jax.coherence.config import NetworkConfig

POOL = 4
"""Frames of the timing branch in a frame of the harmony branch."""

_CLASSES, _OCTAVES = 12, SEMITONES // 12
_TAPS = 37  # semitones that a note detector sees: an octave and a half each way
_REGISTERS = 3
_MEAN, _DEVIATION = -4.0, 1.5  # of `features.relative` where music plays
_EPSILON = 1e-3


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Embedding:
  """Embeddings of the frames of sounds.

  Attributes:
    timing: a vector per frame.
    harmony: a vector per pitch class of every fourth frame.
  """

  timing: Float[Array | np.ndarray, "*b t d"]
  harmony: Float[Array | np.ndarray, "*b t_4 12 e"]


class _Linear(nnx.Module):
  """A convolution over time as one product of shifted copies.

  Faster on CPUs than XLA's convolution, whose dilated form is slow.
  """

  def __init__(
    self, inputs: int, outputs: int, taps: int, dilation: int, *, rngs: nnx.Rngs
  ):
    self.taps, self.dilation = taps, dilation
    scale = (inputs * taps) ** -0.5
    shape = (taps * inputs, outputs)
    self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), shape))
    self.bias = nnx.Param(jnp.zeros(outputs))

  def __call__(self, x: Float[Array, "b t i"]) -> Float[Array, "b t o"]:
    return (
      _shifted(x, self.taps, self.dilation) @ self.kernel
      + self.bias[None, None]
    )


class _Circulant(nnx.Module):
  """The same with the weights of one pitch class for all twelve."""

  def __init__(
    self, inputs: int, outputs: int, taps: int, dilation: int, *, rngs: nnx.Rngs
  ):
    self.taps, self.dilation = taps, dilation
    scale = (inputs * taps * _CLASSES) ** -0.5
    shape = (taps, _CLASSES, inputs, outputs)
    self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), shape))
    self.bias = nnx.Param(jnp.zeros(outputs))

  def __call__(self, x: Float[Array, "b t 12 i"]) -> Float[Array, "b t 12 o"]:
    taps, _, inputs, outputs = self.kernel.shape
    classes = jnp.arange(_CLASSES)
    interval = (classes[:, None] - classes[None]) % _CLASSES  # [from, to]
    whole = self.kernel[:, interval]  # [taps, from, to, i, o]
    whole = whole.transpose(0, 1, 3, 2, 4)
    whole = whole.reshape(taps * _CLASSES * inputs, _CLASSES * outputs)
    flat = x.reshape(*x.shape[:2], -1)  # [b, t, 12 i]
    y = _shifted(flat, taps, self.dilation) @ whole
    return (
      y.reshape(*y.shape[:2], _CLASSES, outputs) + self.bias[None, None, None]
    )


def _shifted(
  x: Float[Array, "b t i"], taps: int, dilation: int
) -> Float[Array, "b t taps*i"]:
  """Return copies of x shifted by multiples of the dilation, side by side."""
  if taps == 1:
    return x
  frames, reach = x.shape[1], taps // 2 * dilation
  padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
  copies = [padded[:, i * dilation :][:, :frames] for i in range(taps)]
  return jnp.concatenate(copies, axis=-1)


def _normalized(x: Array, axes: int) -> Array:
  square = jnp.square(x).mean(axis=tuple(range(-axes, 0)), keepdims=True)
  return x * jax.lax.rsqrt(square + _EPSILON)


class Tower(nnx.Module):
  """Embeds the frames of a sound."""

  def __init__(self, config: NetworkConfig, *, rngs: nnx.Rngs):
    timing_inputs = 2 * (ONSETS + _OCTAVES)
    self.timing_input = _Linear(timing_inputs, config.timing, 1, 1, rngs=rngs)
    self.timing_blocks = nnx.List(
      _Linear(config.timing, config.timing, 5, 2**i, rngs=rngs)
      for i in range(config.timing_blocks)
    )
    self.timing_output = _Linear(
      config.timing, config.timing_embedding, 1, 1, rngs=rngs
    )
    self.detectors = _Linear(_TAPS, config.detectors, 1, 1, rngs=rngs)
    notes = config.detectors * _REGISTERS
    self.harmony_input = _Circulant(notes, config.harmony, 1, 1, rngs=rngs)
    self.harmony_blocks = nnx.List(
      _Circulant(config.harmony, config.harmony, 3, 2**i, rngs=rngs)
      for i in range(config.harmony_blocks)
    )
    self.harmony_output = _Circulant(
      config.harmony, config.harmony_embedding, 1, 1, rngs=rngs
    )

  def __call__(self, features: Float[Array, "b t bands"]) -> Embedding:
    """Embed the frames of sounds.

    Args:
      features: log magnitudes, see `features.relative`; t is a multiple of 4.
    """
    x = (features - _MEAN) / _DEVIATION
    semitones, onsets = x[..., :SEMITONES], x[..., SEMITONES:]
    return Embedding(self._timing(semitones, onsets), self._harmony(semitones))

  def _timing(self, semitones: Array, onsets: Array) -> Array:
    octaves = semitones.reshape(*semitones.shape[:2], _OCTAVES, 12).mean(-1)
    bands = jnp.concatenate([onsets, octaves], axis=-1)
    before = jnp.pad(bands, ((0, 0), (2, 0), (0, 0)), "edge")[:, :-2]
    rise = jax.nn.relu(bands - before)
    x = self.timing_input(jnp.concatenate([bands, rise], axis=-1))
    for block in self.timing_blocks:
      x = x + jax.nn.gelu(block(_normalized(x, 1)))
    return jnp.tanh(self.timing_output(_normalized(x, 1)))

  def _harmony(self, semitones: Array) -> Array:
    b, t, _ = semitones.shape
    x = semitones.reshape(b, t // POOL, POOL, SEMITONES).mean(axis=2)
    # Every semitone with its neighbours, as a detector of notes sees it.
    half = _TAPS // 2
    x = jnp.pad(x, ((0, 0), (0, 0), (half, half)), "edge")
    windows = jnp.stack(
      [x[..., i : i + SEMITONES] for i in range(_TAPS)], axis=-1
    )  # [b, t, semitones, taps]
    notes = jax.nn.relu(self.detectors(windows.reshape(b, -1, _TAPS))).reshape(
      b, t // POOL, SEMITONES, -1
    )
    # Overlapping registers: sharp ones would not be equivariant.
    heights = jnp.linspace(0, _REGISTERS - 1, SEMITONES)
    weights = jax.nn.relu(
      1 - jnp.abs(heights[:, None] - jnp.arange(_REGISTERS)[None])
    )
    notes = notes[..., None, :] * weights[None, None, :, :, None]
    notes = notes.reshape(b, t // POOL, _OCTAVES, _CLASSES, -1).sum(axis=2)
    x = self.harmony_input(notes / 2)  # [b, t, 12, width]
    for block in self.harmony_blocks:
      x = x + jax.nn.gelu(block(_normalized(x, 2)))
    return jnp.tanh(self.harmony_output(_normalized(x, 2)))


class Network(nnx.Module):
  """A tower for contexts, one for stems, and the bilinear forms."""

  def __init__(self, config: NetworkConfig, *, rngs: nnx.Rngs):
    self.context = Tower(config, rngs=rngs)
    self.stem = Tower(config, rngs=rngs)
    self.timing = nnx.Param(0.3 * jnp.eye(config.timing_embedding))
    self.harmony = nnx.Param(0.3 * jnp.eye(config.harmony_embedding))

  def forms(self, context: Embedding) -> Embedding:
    """Multiply a context's embeddings by the bilinear forms."""
    return Embedding(
      context.timing @ self.timing, context.harmony @ self.harmony
    )
