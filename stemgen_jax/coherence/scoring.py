"""Score how well stems fit contexts."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Float32

from stemgen_jax.audio import Audio
from stemgen_jax.coherence import features, weights
from stemgen_jax.coherence.network import POOL, Embedding, Network

# Sounds are padded to multiples of so many frames, 5.12 s, so that few
# programs are compiled.
_STEP = 256


def score(
  context: Float[np.ndarray, "n ..."],
  stem: Float[np.ndarray, "n ..."],
  sample_rate: int,
) -> float:
  """Return how well a stem fits a context; more is better.

  Only scores of the same context, or of the same stem, can be compared.

  Args:
    context: samples in -1..1, [n] or [n, channels].
    stem: samples that sound together with them; the common length counts.
    sample_rate: sample rate of both in Hz.

  Returns:
    Logarithm of an unnormalized likelihood: with a score greater by 1, a stem
    is e times as likely to be the true one. -inf if one of them is silent.
  """
  one, other = (
    Audio(np.asarray(x, np.float32).reshape(len(x), -1), sample_rate)
    for x in (context, stem)
  )
  return scorer(one)(other)


def scorer(context: Audio) -> Callable[[Audio], float]:
  """Return a function from stems to their scores with a context."""
  embedded = embed(context, stem=False)
  return lambda stem: compared(embedded, embed(stem, stem=True))


def embed(
  sound: Audio, *, stem: bool, network: Network | None = None
) -> Embedding | None:
  """Embed a context or stem for `compared`; None if it is silent.

  Args:
    sound: the sound.
    stem: whether it is a stem; otherwise it is a context.
    network: the network; that of the package by default.
  """
  power = features.powers(sound)
  if not features.active(power).any():
    return None
  return embed_features(
    network or weights.load(), features.relative(power), stem=stem
  )


def compared(context: Embedding | None, stem: Embedding | None) -> float:
  """Return the score of embeddings, over their common length."""
  if context is None or stem is None:
    return -math.inf
  total = 0.0
  for x, y in (
    (context.timing, stem.timing),
    (context.harmony, stem.harmony),
  ):
    frames = min(len(x), len(y))
    total += float(np.vdot(x[:frames], y[:frames])) / frames
  return total


def embed_features(
  network: Network, sound: Float32[np.ndarray, "t bands"], *, stem: bool
) -> Embedding:
  """Embed the features of a context or stem.

  The embeddings of a context are multiplied by the bilinear forms.
  """
  frames = len(sound)
  padding = -frames % _STEP
  padded = np.pad(sound, ((0, padding), (0, 0)), "edge")[None]
  found = _program(stem)(network, jnp.asarray(padded))
  return Embedding(
    np.asarray(found.timing[0, :frames]),
    np.asarray(found.harmony[0, : -(-frames // POOL)]),  # rounded up
  )


@functools.cache
def _program(stem: bool):
  def run(network: Network, sound: jax.Array) -> Embedding:
    if stem:
      return network.stem(sound)
    return network.forms(network.context(sound))

  return nnx.jit(run)
