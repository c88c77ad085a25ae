"""Estimate notes with basic-pitch (Spotify, Apache-2.0).

Its network ships in its package and needs only onnxruntime; the package itself
needs TensorFlow, and is not imported.
"""

import functools
import importlib.util
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float

from stemgen_jax import audio

INSTALL = (
  "pip install -e '.[evaluate]' -c launch/constraints.txt && "
  "pip install --no-deps -r launch/requirements-nodeps.txt"
)
LOWEST = 21
"""MIDI number of the first of the 88 keys."""

_NOTE = 0.5  # least posterior of an onset
_RATE = 22050
_SAMPLES, _FRAMES = 43844, 172  # per window of the network
FRAME_RATE = _FRAMES * _RATE / _SAMPLES
"""Frames per second."""


Keys = Float[np.ndarray, "windows t 88"]


def posteriors(
  samples: Float[np.ndarray, " n"], sample_rate: int
) -> tuple[Keys, Keys]:
  """Estimate activity and onsets of the 88 keys, 0..1, in windows of 2 s.

  Raises:
    ModuleNotFoundError: as `check`.
  """
  session = _session()
  cut = windows(audio.resample_mono(samples, sample_rate, _RATE), _SAMPLES)
  (name,) = (tensor.name for tensor in session.get_inputs())
  # [windows, samples, 1] -> onsets, notes and contours, [windows, t, keys].
  onsets, activity, _ = session.run(None, {name: cut[:, :, None]})
  return activity, onsets


def struck(
  onsets: Float[np.ndarray, "t 88"],
) -> tuple[np.ndarray, np.ndarray]:
  """Return frames and keys of the notes: peaks of the onsets' posteriors."""
  before = np.pad(onsets, ((1, 0), (0, 0)))[:-1]
  after = np.pad(onsets, ((0, 1), (0, 0)))[1:]
  # A plateau counts once, at its first frame.
  peaks = (onsets > _NOTE) & (onsets > before) & (onsets >= after)
  frames, keys = np.nonzero(peaks)  # in order of the frames
  return frames, keys


def windows(
  samples: Float[np.ndarray, " n"], length: int
) -> Float[np.ndarray, "windows {length}"]:
  """Cut into windows; a remainder of at least half a window is padded."""
  # At least one window, padded with silence.
  count = max(1, round(len(samples) / length))
  padded = np.pad(samples, (0, max(0, count * length - len(samples))))
  return padded[: count * length].reshape(count, length)


def check() -> None:
  """Raise ModuleNotFoundError, with the command, if a package is missing."""
  _session()


@functools.cache
def _session() -> Any:
  spec = importlib.util.find_spec("basic_pitch")
  try:
    import onnxruntime
  except ImportError:
    onnxruntime = None
  if not (onnxruntime and spec and spec.submodule_search_locations):
    raise ModuleNotFoundError(
      f"onnxruntime and basic-pitch are needed to estimate notes: {INSTALL}"
    )
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  options.intra_op_num_threads = 1  # so that results do not depend on cores
  # The path of the package is enough; importing it needs TensorFlow.
  root = pathlib.Path(spec.submodule_search_locations[0])
  return onnxruntime.InferenceSession(
    str(root / "saved_models/icassp_2022/nmp.onnx"),
    options,
    providers=["CPUExecutionProvider"],
  )
