"""Spectra of a sound at the frames of a codec, as contexts of a model.

A frame has 84 semitone bands, C1 to B7, and 24 mel bands of a short window for
onsets. Powers of stems add up to the power of their mix, so submixes can be
made of spectra; models read them as log magnitudes.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Int

from stemgen_jax.audio.loudness import gain_to
from stemgen_jax.audio.sound import Samples, resample_mono, rms_db

SEMITONES, ONSETS = 84, 24
BANDS = SEMITONES + ONSETS
FLOOR = 3e-4
"""Magnitude that is added, as power, to every band; that of silence."""

_LOW = 24  # semitones below C3, which need a longer window
# Windows in seconds: 8192, 4096 and 512 samples at 32 kHz.
_WINDOWS = (8192 / 32000, 4096 / 32000, 512 / 32000)
_FRAMES = 256  # per call of the FFT, 8 MB
# Magnitude below every band of `FLOOR`, so that floors of stems do not add up.
_STORED_FLOOR = 1e-5


def powers(
  samples: Samples,
  sample_rate: int,
  centers: Int[np.ndarray, " t"],
  *,
  loop: bool = False,
  windows: Sequence[int] = (0, 1, 2),
) -> Float32[np.ndarray, "t bands"]:
  """Measure the power of every band around each frame.

  Args:
    samples: the sound, [n, c]; powers are means over channels.
    sample_rate: sample rate in Hz.
    centers: samples in the middle of the frames.
    loop: the sound continues at its other end; otherwise it is surrounded by
      silence.
    windows: windows whose bands are measured, see `window_size`.
  """
  spectra = [
    _window_powers(samples, sample_rate, centers, index, loop)
    for index in windows
  ]
  return np.concatenate(spectra, axis=1)


def frame_powers(
  samples: Samples, begins: Int[np.ndarray, " t"], hop: int
) -> Float32[np.ndarray, " t"]:
  """Return the mean square of each frame of `hop` samples."""
  power = np.square(samples, dtype=np.float64).mean(axis=1)  # [n]
  total = np.concatenate([[0.0], np.cumsum(power)])  # [n + 1]
  ends = np.minimum(begins + hop, len(power))
  sums = total[ends] - total[np.minimum(begins, len(power))]
  return (sums.clip(min=0) / hop).astype(np.float32)


def log_magnitudes(
  power: Float[np.ndarray, "..."],
) -> Float32[np.ndarray, "..."]:
  """Return the features of a model, in nepers; `log(FLOOR)` for silence."""
  return 0.5 * np.log(np.asarray(power, np.float32) + np.float32(FLOOR**2))


def features(
  samples: Samples,
  sample_rate: int,
  centers: Int[np.ndarray, " t"],
  *,
  loop: bool = False,
) -> Float32[np.ndarray, "t bands"]:
  """Return log magnitudes of a sound; arguments as in `powers`."""
  return log_magnitudes(powers(samples, sample_rate, centers, loop=loop))


def leveled(
  samples: Float32[np.ndarray, " n"], sample_rate: int, to_rate: int
) -> Float32[np.ndarray, "m 1"]:
  """Resample one channel and bring it to the loudness of training."""
  samples = resample_mono(samples, sample_rate, to_rate)[:, None]
  return samples * np.float32(gain_to(rms_db(samples)))


def stored(power: Float[np.ndarray, "..."]) -> np.ndarray:
  """Return powers as float16 logarithms, within 0.4 % of each magnitude."""
  log = 0.5 * np.log(np.asarray(power, np.float32) + _STORED_FLOOR**2)
  return log.astype(np.float16)


def restored(log: np.ndarray) -> Float32[np.ndarray, "..."]:
  """Invert `stored`."""
  return np.exp(2 * log.astype(np.float32))


def band_frequencies(sample_rate: int) -> Float32[np.ndarray, " bands"]:
  """Return the centers of the bands in Hz."""
  edges = np.concatenate([_semitones()[1:-1], _mels(sample_rate)[1:-1]])
  return edges.astype(np.float32)


def _window_powers(
  samples: Samples,
  sample_rate: int,
  centers: Int[np.ndarray, " t"],
  index: int,
  loop: bool,
) -> np.ndarray:
  filters = _filters(sample_rate, index)
  size = window_size(sample_rate, index)
  # Periodic, as that of PyTorch.
  window = np.hanning(size + 1)[:-1].astype(np.float32)[:, None]
  count = len(samples)
  if loop:
    around = np.arange(-(size // 2), count + size // 2)
    samples, begins = samples[around % count], centers % count
  else:
    samples = np.pad(samples, ((size, size), (0, 0)))
    # Frames beyond the ends are silent.
    begins = np.clip(centers + size // 2, 0, count + size)
  # Copied from a view, which is faster than an index per sample.
  views = np.lib.stride_tricks.sliding_window_view(samples, size, axis=0)
  found = np.zeros((len(centers), len(filters)), np.float32)
  for first in range(0, len(centers), _FRAMES):
    chosen = views[begins[first : first + _FRAMES]]  # [frames, c, size]
    frames = chosen.swapaxes(1, 2) * window  # [frames, size, c]
    spectrum = np.fft.rfft(frames, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=2) / size
    found[first : first + _FRAMES] = power.astype(np.float32) @ filters.T
  return found


def window_size(sample_rate: int, index: int) -> int:
  """Return the even length of a window in samples.

  Args:
    sample_rate: sample rate in Hz.
    index: 0 for notes below C3, 1 for those above, 2 for onsets.
  """
  return 2 * round(_WINDOWS[index] * sample_rate / 2)


@functools.cache
def _filters(sample_rate: int, index: int) -> Float32[np.ndarray, "bands bins"]:
  """Return triangles of unit sum for the window of an index."""
  size = window_size(sample_rate, index)
  if index == 2:
    return _triangles(_mels(sample_rate), sample_rate, size)
  part = slice(_LOW) if index == 0 else slice(_LOW, None)
  return _triangles(_semitones(), sample_rate, size)[part]


def _semitones() -> np.ndarray:
  return 440 * 2 ** ((np.arange(23, 109) - 69) / 12)  # MIDI notes B0 to C8


def _mels(sample_rate: int) -> np.ndarray:
  top = 2595 * np.log10(1 + sample_rate / 2 / 700)  # HTK
  return 700 * (10 ** (np.linspace(0, top, ONSETS + 2) / 2595) - 1)


def _triangles(
  edges: np.ndarray, sample_rate: int, size: int
) -> Float32[np.ndarray, "bands bins"]:
  """Return a triangle around each inner edge, from neighbor to neighbor."""
  bins = np.linspace(0, sample_rate / 2, size // 2 + 1)
  low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
  # At least one bin wide: narrower triangles would miss every bin.
  width = sample_rate / size
  rising = (bins - middle) / np.maximum(middle - low, width) + 1
  falling = (middle - bins) / np.maximum(high - middle, width) + 1
  triangles = np.minimum(rising, falling).clip(min=0)
  sums = triangles.sum(axis=1, keepdims=True)
  # A band above half the sample rate has no bins: it is always silent.
  return (triangles / np.maximum(sums, 1e-9)).astype(np.float32)
