"""Read the context of a request, from a file or from an array."""

import os
from collections.abc import Iterator

import numpy as np

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio

Context = str | os.PathLike[str] | Audio | tuple[np.ndarray, int]
"""A file, `Audio`, or (samples [n] or [n, channels], sample rate in Hz)."""


def read_context(context: Context) -> Audio:
  """Return the sound of a context, 0.2 s to 10 minutes.

  Raises:
    OSError: the file cannot be read.
    ValueError: it is not audio, of another length, or not finite.
  """
  name = "the context"
  if isinstance(context, str | os.PathLike):
    name = os.fspath(context)
    sound = audio_lib.read(context, longest=audio_lib.LONGEST)
  elif isinstance(context, Audio):
    sound = context
  elif isinstance(context, tuple) and len(context) == 2:
    sound = _from_array(*context)
  else:
    raise ValueError(
      f"the context is of type {type(context).__name__}: expected an Audio, a "
      "path, or (samples, sample rate)"
    )
  audio_lib.check_seconds(sound.seconds, name)
  # Files are checked while they are read, arrays are not.
  if not np.isfinite(sound.samples).all():
    raise ValueError(
      f"{name}: has samples that are NaN or infinite; expected -1 to 1"
    )
  return sound


def notes(sound: Audio, channels: int, loop: bool) -> Iterator[str]:
  """Yield warnings about a context and how it is used.

  Args:
    sound: the context.
    channels: number of channels of the codec.
    loop: the context is one period of a loop.
  """
  for note in sound.notes:
    yield f"the context: {note}"
  if loop and sound.delayed:
    yield (
      "the loop is an mp3 that does not state its encoder's delay: about 25 ms "
      "of silence precede it, and some follow; use wav or flac for loops"
    )
  clean = audio_lib.without_offset(sound.samples, sound.sample_rate)
  if sound.channels != channels and audio_lib.cancels(clean):
    yield (
      "left and right of the context cancel in mono: their difference is used"
    )
  largest = float(
    np.abs(audio_lib.offset(sound.samples, sound.sample_rate)).max()
  )
  if largest:
    yield f"the context has a DC offset of {largest:.3f}: it is removed"


def silence(seconds: float, sample_rate: int, channels: int) -> Audio:
  """Return silence of a length."""
  shape = (round(seconds * sample_rate), channels)
  return Audio(np.zeros(shape, np.float32), sample_rate)


def _from_array(samples: np.ndarray, sample_rate: int) -> Audio:
  samples = np.asarray(samples)
  if not np.issubdtype(samples.dtype, np.floating):
    raise ValueError(
      f"the context's samples are {samples.dtype}: expected floating-point "
      "numbers in -1..1; divide 16-bit samples by 32768"
    )
  if samples.ndim == 1:
    samples = samples[:, None]  # [n, 1]
  # More channels than samples: the axes are exchanged.
  if samples.ndim != 2 or samples.shape[1] > max(1, len(samples)):
    raise ValueError(
      f"the context has shape {samples.shape}: expected [samples] or "
      "[samples, channels]; transpose it"
    )
  return Audio(samples.astype(np.float32), sample_rate)
