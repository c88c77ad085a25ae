"""Embeddings of sound, for distances between populations.

`codec` and `notes` need no further files. The weights of VGGish and CLAP,
which the literature reports, are not shipped: the user gives their files.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from stemgen_jax.codec import Codec
from stemgen_jax.evaluation.metrics import notes

Samples = Float[np.ndarray, "samples channels"]
Embedding = Callable[[Samples, int], Float[np.ndarray, "windows d"]]
"""Maps samples and sample rate to one vector per window."""


def codec_latents(codec: Codec) -> Embedding:
  """Return the embedding by mean latents of the codec's codes per second."""
  books = codec.codebooks()  # [q, v, latent]

  def embed(sound: Samples, sample_rate: int) -> np.ndarray:
    assert sample_rate == codec.sample_rate
    # [t, q]
    codes = codec.encode(sound[None].astype(np.float32))[0]
    latents = books[np.arange(codec.levels), codes].sum(1)  # [t, latent]
    # One window per second; at least one.
    seconds = max(1, round(len(latents) / codec.frame_rate))
    return np.stack([part.mean(0) for part in np.array_split(latents, seconds)])

  return embed


def keys(sound: Samples, sample_rate: int) -> np.ndarray:
  """Compute mean activity and onsets of the 88 keys over 2 s, [windows, 176].

  Raises:
    ModuleNotFoundError: a package of `notes.check` is missing.
  """
  # [windows, t, 88] each.
  activity, onsets = notes.posteriors(sound.mean(1), sample_rate)
  return np.concatenate([activity.mean(1), onsets.mean(1)], axis=1)
