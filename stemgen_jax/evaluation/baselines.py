"""Baseline stems that need no model, as anchors of the scores.

Only `figures` are computed for them: embeddings and descriptors of clicks do
not characterize a model.
"""

import numpy as np
from scipy import signal

from stemgen_jax.audio import Audio
from stemgen_jax.audio.analysis import librosa
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.protocol import Example

BASELINES = {
  "metronome": "clicks on the beats",
  "late_metronome": "clicks an eighth (half a beat) late",
  "drone": "the tonic, held throughout",
  "copy": "the context itself",
}
_LEVEL = 0.1
_OCTAVE = 2  # of the drone; in the range of a bass and of a left hand


def baselines(example: Example, context: Features) -> dict[str, Features]:
  """Return the baselines of an example, by name.

  Args:
    example: the example.
    context: features of its context, which are those of the copy.
  """
  beats = example.annotations.beats
  half = np.diff(beats).mean() / 2 if len(beats) > 1 else 0.0
  rate, length = context.sample_rate, len(context.samples)

  def sound(samples: np.ndarray) -> Features:
    channels = context.samples.shape[1]
    samples = np.repeat(samples[:, None], channels, axis=1)  # [n, channels]
    return Features(Audio(samples.astype(np.float32), rate))

  def clicks(times: np.ndarray) -> Features:
    clicked = (
      librosa.clicks(times=times, sr=rate, length=length)
      if len(times)
      else np.zeros(length)
    )
    return sound(_LEVEL * clicked)

  tonic = example.annotations.key.split()[0]
  hertz = librosa.note_to_hz(f"{tonic}{_OCTAVE}")
  wave = signal.sawtooth(2 * np.pi * hertz * np.arange(length) / rate)
  return {
    "metronome": clicks(beats),
    "late_metronome": clicks(beats + half),
    "drone": sound(_LEVEL * wave),
    "copy": context,
  }
