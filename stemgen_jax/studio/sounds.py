"""Sounds as clients get them: wav files, and peaks to draw."""

import io

import numpy as np
import soundfile

from stemgen_jax.audio import Audio


def wav(sound: Audio) -> bytes:
  """Return a wav file of 24 bits, or of floats if it exceeds full scale."""
  loud = np.abs(sound.samples).max(initial=0) > 1
  stream = io.BytesIO()
  soundfile.write(
    stream,
    sound.samples,
    sound.sample_rate,
    subtype="FLOAT" if loud else "PCM_24",
    format="WAV",
  )
  return stream.getvalue()


def cut(sound: Audio, start: float, end: float | None) -> Audio:
  """Return a part of a sound, from and to in seconds; None for its end."""
  first, last = (
    None if at is None else round(at * sound.sample_rate) for at in (start, end)
  )
  return Audio(sound.samples[first:last], sound.sample_rate)


def peaks(sound: Audio, count: int) -> list[float]:
  """Return the largest magnitudes of equal parts of a sound.

  Args:
    sound: the sound.
    count: number of parts; as many as samples at most.
  """
  magnitudes = np.abs(sound.samples).max(axis=1)  # [n]
  count = min(count, len(magnitudes))
  edges = np.arange(count) * len(magnitudes) // count
  found = np.maximum.reduceat(magnitudes, edges)
  return [round(float(x), 4) for x in found]
