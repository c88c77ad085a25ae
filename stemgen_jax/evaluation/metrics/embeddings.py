"""Embeddings of sound, for distances between populations.

`codec` and `notes` need no further files. The weights of VGGish and CLAP,
which the literature reports, are not shipped: the user gives their files.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from stemgen_jax.codec import Codec
from stemgen_jax.evaluation.features import Features

Embedding = Callable[[Features], Float[np.ndarray, "windows d"]]
"""Maps a sound to one vector per window."""


def codec_latents(codec: Codec) -> Embedding:
  """Return the embedding by mean latents of the codec's codes per second."""
  books = codec.codebooks()  # [q, v, latent]

  def embed(sound: Features) -> np.ndarray:
    assert sound.sample_rate == codec.sample_rate
    codes = sound.codes(codec)  # [t, q]
    latents = books[np.arange(codec.levels), codes].sum(1)  # [t, latent]
    # One window per second; at least one.
    seconds = max(1, round(len(latents) / codec.frame_rate))
    return np.stack([part.mean(0) for part in np.array_split(latents, seconds)])

  return embed


def keys(sound: Features) -> np.ndarray:
  """Compute mean activity and onsets of the 88 keys over 2 s, [windows, 176].

  Raises:
    ModuleNotFoundError: a package of `notes.check` is missing.
  """
  # [windows, t, 88] each.
  activity, onsets = sound.notes
  return np.concatenate([activity.mean(1), onsets.mean(1)], axis=1)
