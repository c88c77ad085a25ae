"""Log-frequency spectrograms, as arrays and as images."""

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from scipy import fft

from stemgen_jax import audio
from stemgen_jax.audio import Audio

COLUMNS = 1400
RANGE_DB = 75.0
_ROWS = 240
_LOWEST, _HIGHEST = 30.0, 16000.0  # Hz
# Long windows separate bass notes, short ones drum hits: between the two
# frequencies the picture cross-fades from one to the other.
_WINDOWS = (0.18, 0.045)  # s
_BLEND = (120.0, 1200.0)  # Hz


def spectrogram(sound: Audio) -> Float[np.ndarray, "rows columns"]:
  """Compute log-frequency magnitudes in dB of full scale, low rows first.

  Rows are from 30 Hz to 16 kHz or half the sample rate, columns over the whole
  duration. A full-scale sine has 0 dB, less in high rows, which are means over
  several bins.
  """
  mono, rate = audio.fold_down(sound.samples), sound.sample_rate
  centres = frequencies(rate)
  if rate > 2 * _HIGHEST:
    mono, rate = audio.resample(mono, rate, int(2 * _HIGHEST)), 2 * _HIGHEST
  low, high = (
    _log_spectrogram(mono[:, 0], rate, centres, window) for window in _WINDOWS
  )
  share = np.interp(np.log(centres), np.log(_BLEND), (0, 1))[:, None]
  return (1 - share) * low + share * high


def pixels(
  sound: Audio, loudest_db: float, columns: int = 700
) -> UInt8[np.ndarray, "rows columns 3"]:
  """Draw the spectrogram alone, high frequencies on top.

  Args:
    sound: sound to draw.
    loudest_db: level of the brightest color; black is 75 dB below.
    columns: width, a divisor of 1400.
  """
  rows = spectrogram(sound)[::-1]
  rows = rows.reshape(len(rows), columns, -1).mean(2)
  bright = (rows - loudest_db) / RANGE_DB + 1
  return colormaps["magma"](bright.clip(0, 1), bytes=True)[..., :3]


def _log_spectrogram(
  mono: Float[np.ndarray, " samples"],
  rate: float,
  centres: Float[np.ndarray, " rows"],
  seconds: float,
) -> Float[np.ndarray, "rows columns"]:
  size = 2 ** round(np.log2(rate * seconds))
  window = np.hanning(size).astype(np.float32)
  padded = np.pad(mono, size // 2)
  starts = np.linspace(0, len(mono) - 1, COLUMNS).astype(int)
  # [columns, size]; adjacent columns overlap or skip, depending on the length.
  views = np.lib.stride_tricks.sliding_window_view(padded, size)
  frames = views[starts] * window
  # A fifth of the time of NumPy's, in single precision.
  power = np.abs(fft.rfft(frames) * (2 / window.sum())) ** 2
  # Triangles, [rows, bins]: as wide as a row's share of bins at the top, one
  # bin at the bottom, where they interpolate between bins.
  middle = centres * size / rate
  half = np.maximum(1.0, np.gradient(middle))[:, None]
  bins = np.arange(power.shape[1])
  weights = np.maximum(0, 1 - np.abs(bins - middle[:, None]) / half)
  weights /= weights.sum(axis=1, keepdims=True)
  return 10 * np.log10(weights.astype(np.float32) @ power.T + 1e-12)


def frequencies(rate: int) -> Float[np.ndarray, " rows"]:
  """Return the center frequencies of the rows in Hz."""
  return np.geomspace(_LOWEST, min(_HIGHEST, 0.5 * rate), _ROWS)
