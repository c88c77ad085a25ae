"""What a distance between populations is taken of: sound as vectors.

`codec` and `notes` come with what is installed; the weights of VGGish and
CLAP, which the literature reports, are not shipped: their files are given.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import soxr
from jaxtyping import Float

from stemgen_jax.codec import Codec

Samples = Float[np.ndarray, "samples channels"]
Embedding = Callable[[Samples, int], Float[np.ndarray, "windows d"]]
"""Of sound and its sample rate in Hz, a vector of each window."""

NODEPS = "pip install --no-deps -r launch/requirements-nodeps.txt"
INSTALL = f"pip install -e '.[evaluate]' -c launch/constraints.txt && {NODEPS}"

NOTES_RATE = 22050
_NOTES_SAMPLES = 43844  # that basic-pitch's network takes


def mono(sound: Samples, sample_rate: int, wanted: int) -> np.ndarray:
  """Float32 [n] in the wanted sample rate."""
  samples = soxr.resample(sound.mean(1), sample_rate, wanted)
  return samples.astype(np.float32)


def windows(samples: np.ndarray, length: int) -> np.ndarray:
  """[n, length]: cut without overlap; a rest is padded, if it is half full."""
  count = max(1, round(len(samples) / length))
  padded = np.pad(samples, (0, max(0, count * length - len(samples))))
  return padded[: count * length].reshape(count, length)


def codec_latents(codec: Codec) -> Embedding:
  """Mean latents of each second, as the codec's codes name them."""
  books = codec.codebooks()  # [q, v, latent]

  def embed(sound: Samples, sample_rate: int) -> np.ndarray:
    assert sample_rate == codec.sample_rate
    codes = codec.encode(sound[None].astype(np.float32))[0]
    latents = books[np.arange(codec.levels), codes].sum(1)  # [t, latent]
    seconds = max(1, round(len(latents) / codec.frame_rate))
    return np.stack([part.mean(0) for part in np.array_split(latents, seconds)])

  return embed


def notes(sound: Samples, sample_rate: int) -> np.ndarray:
  """Mean activity and onsets of the 88 keys over 2 s, as basic-pitch hears.

  Raises:
    ModuleNotFoundError: basic-pitch or onnxruntime is absent.
  """
  activity, onsets = note_posteriors(sound, sample_rate)
  return np.concatenate([activity.mean(1), onsets.mean(1)], axis=1)


def note_posteriors(
  sound: Samples, sample_rate: int
) -> tuple[np.ndarray, np.ndarray]:
  """Activity and onsets of the 88 keys, 0..1, each [windows, t, 88]."""
  samples = windows(mono(sound, sample_rate, NOTES_RATE), _NOTES_SAMPLES)
  session = _notes_session()
  (name,) = (tensor.name for tensor in session.get_inputs())
  # In the order of the network's outputs: onsets come first.
  onsets, activity, _ = session.run(None, {name: samples[:, :, None]})
  return activity, onsets


@functools.cache
def _notes_session() -> Any:
  """basic-pitch's network; the package itself would want TensorFlow."""
  spec = importlib.util.find_spec("basic_pitch")
  try:
    import onnxruntime
  except ImportError:
    spec = None
  if spec is None or not spec.submodule_search_locations:
    raise ModuleNotFoundError(
      f"onnxruntime and basic-pitch are needed to hear notes: {INSTALL}"
    )
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  root = pathlib.Path(spec.submodule_search_locations[0])
  return onnxruntime.InferenceSession(
    str(root / "saved_models/icassp_2022/nmp.onnx"),
    options,
    providers=["CPUExecutionProvider"],
  )
