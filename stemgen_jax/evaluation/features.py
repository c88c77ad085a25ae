"""Features of a sound that several metrics share, each computed once."""

import functools

import numpy as np
from jaxtyping import Float, Float32, Int

from stemgen_jax import audio, coherence
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec
from stemgen_jax.evaluation.metrics import harmony, notes, rhythm


class Features:
  """A stem, context or mix with its features, computed on first use.

  Args:
    sound: the sound, which must not change.
  """

  def __init__(self, sound: Audio):
    self.sound = sound
    self.samples, self.sample_rate = sound.samples, sound.sample_rate
    self._codes: dict[str, np.ndarray] = {}

  @functools.cached_property
  def mono(self) -> Float32[np.ndarray, " n"]:
    """Samples in one channel."""
    return audio.mono(self.sound)

  @functools.cached_property
  def notes(self) -> tuple[np.ndarray, np.ndarray]:
    """Activity and onsets of the keys, see `notes.posteriors`."""
    return notes.posteriors(self.mono, self.sample_rate)

  @functools.cached_property
  def chroma(self) -> Float[np.ndarray, "t 12"]:
    """Activity of the pitch classes, see `harmony.chroma`."""
    return harmony.fold(self.notes[0])

  @functools.cached_property
  def strength(self) -> Float[np.ndarray, " t"]:
    """Onset strength, see `rhythm.strength`."""
    return rhythm.strength(self.mono, self.sample_rate)

  @functools.cached_property
  def pulse(self) -> rhythm.Pulse:
    """Beats and onsets in seconds."""
    return rhythm.pulse_of(self.strength)

  @functools.cached_property
  def as_context(self) -> coherence.Embedding | None:
    """Embedding as a context, see `coherence.embed`."""
    return coherence.embed(self.sound, stem=False)

  @functools.cached_property
  def as_stem(self) -> coherence.Embedding | None:
    """Embedding as a stem."""
    return coherence.embed(self.sound, stem=True)

  def codes(self, codec: Codec) -> Int[np.ndarray, "t q"]:
    """Return the codes of a codec, which has the sound's format."""
    if codec.checksum not in self._codes:
      batch = self.samples[None]  # [1, n, channels]
      self._codes[codec.checksum] = codec.encode(batch)[0]
    return self._codes[codec.checksum]
