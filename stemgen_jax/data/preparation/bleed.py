"""Find stems that contain other stems of their song, as open microphones do.

Bleed is a filter that stays the same: a stem is predicted from another one with
lags, by least squares on some blocks of the song, and the prediction is
measured on the others. Instruments that play together are related, too, but not
by one filter, so that this prediction fails. Every block has the same weight,
however loud: bleed shows where the stem itself is soft, and a stem that bleeds
into another is not predicted by it where that one plays alone.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Complex64, Float

from stemgen_jax import audio
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import suspicious

# Share of the power of the stem: -20 dB, less the error of an estimate.
_LEAST_DB = -22.0
# A stem that is mostly another one is its effect or its double.
_MOST_DB = -3.0
# Predicted share of the weighted power. In 48 songs of the band the most is -26
# dB among levels that are reported; bleed of -20 dB gives -13 (medians).
_LEAST_SHARE = 10 ** (-18 / 10)
# Correlation of envelopes of a part and its double, such as a programmed layer.
_DOUBLED = 0.7
_RATE, _BLOCK = 8000, 2048  # Hz, samples
_LEAST_BLOCKS, _MOST_BLOCKS = 80, 256  # of a song: 20 s at least
_LAGS = (-8, 160)  # -1 to 20 ms: a distance of 7 m
_FOLDS = 4
_FLOOR = 1e-4  # of the loudest block: softer ones have less weight
_RIDGE = 1e-2


def find(
  described: Sequence[songs.Stem],
  stems: Float[np.ndarray, "stems samples channels"],
  sample_rate: int,
  threshold_db: float,
) -> Iterator[songs.Problem]:
  """Report recorded stems with correlated bleed of a stem of another category.

  Args:
    described: stems of the song.
    stems: their audio.
    sample_rate: sample rate in Hz.
    threshold_db: level of the loudest block of a stem that sounds.
  """
  if stems.shape[1] < _LEAST_BLOCKS * _BLOCK / _RATE * sample_rate:
    return
  recorded = [i for i, x in enumerate(described) if suspicious.is_recorded(x)]
  spectra = {i: _spectra(stems[i], sample_rate) for i in recorded}
  least = _BLOCK * 10 ** (threshold_db / 10)
  spectra = {i: x for i, x in spectra.items() if _energy(x).max() > least}
  found: dict[tuple[int, int], tuple[float, float]] = {}
  for one, other in itertools.permutations(spectra, 2):
    if described[one].category != described[other].category:
      share, level_db = predicted(spectra[one], spectra[other])
      if (
        share > _LEAST_SHARE
        and _LEAST_DB < level_db < _MOST_DB
        and not _doubled(spectra[one], spectra[other], level_db)
      ):
        found[one, other] = level_db, 20 * np.log10(share) - level_db
  for (one, other), (level_db, score) in found.items():
    # Of two that predict each other, the one of which more is predicted by
    # less: right for 15 of 16 such pairs (measured).
    if score >= found.get((other, one), (0.0, -np.inf))[1]:
      yield songs.Problem(
        "correlated bleed",
        f"{level_db:.0f} dB of its power is {described[other].name}, as from "
        "an open microphone",
        described[one].name,
        left_out=False,
      )


def predicted(
  target: Complex64[np.ndarray, "blocks f"],
  other: Complex64[np.ndarray, "blocks f"],
) -> tuple[float, float]:
  """Return how well a filter predicts a stem from another one.

  Args:
    target: spectra of blocks of the stem.
    other: those of the other one.

  Returns:
    The predicted share of the power, every block with the same weight, and the
    power of the prediction in dB of that of the stem.
  """
  # Both without their low end, where notes last long and are few.
  high, high_other = (x * _emphasis(x.shape[1]) for x in (target, other))
  power = _energy(high)  # [blocks]
  weight = 1 / (power + _FLOOR * power.max())
  sums = []
  # Contiguous: a note that lasts is not in two folds.
  for part in np.array_split(np.arange(len(target)), _FOLDS):
    w, x, s = weight[part, None], high[part], high_other[part]  # [blocks, f]
    auto = np.fft.irfft((w * np.square(np.abs(s))).sum(axis=0))
    cross = np.fft.irfft((w * x * s.conj()).sum(axis=0))
    cross = np.concatenate([cross[_LAGS[0] :], cross[: _LAGS[1]]])
    sums.append((auto[: len(cross)], cross))  # [lags] each
  explained, filters = 0.0, []
  for k, (auto, cross) in enumerate(sums):
    rest = [x for j, x in enumerate(sums) if j != k]
    response = _solved(*(np.sum(x, axis=0) for x in zip(*rest)))
    filters.append(response)
    explained += 2 * response @ cross - _power(response, auto)
  whole = np.fft.irfft(np.square(np.abs(other)).sum(axis=0))
  level = np.mean([_power(x, whole) for x in filters]) / _energy(target).sum()
  share = explained / float((weight * power).sum())
  return float(share), float(10 * np.log10(max(level, 1e-12)))


def _doubled(
  target: Complex64[np.ndarray, "blocks f"],
  other: Complex64[np.ndarray, "blocks f"],
  level_db: float,
) -> bool:
  """Return whether the rest of a stem rises and falls as the other one."""
  power, powers = _energy(target), _energy(other)  # [blocks]
  leaked = 10 ** (level_db / 10) * power.sum() * powers / powers.sum()
  rest = np.sqrt(np.maximum(power - leaked, 0))
  return bool(np.corrcoef(rest, np.sqrt(powers))[0, 1] > _DOUBLED)


def _spectra(
  samples: Float[np.ndarray, "n c"], sample_rate: int
) -> Complex64[np.ndarray, "blocks f"]:
  """Return spectra of blocks of a stem, at most `_MOST_BLOCKS`, evenly."""
  mono = audio.resample_mono(
    np.ascontiguousarray(samples.mean(axis=1)), sample_rate, _RATE
  )
  blocks = mono[: len(mono) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
  blocks = blocks[:: -(-len(blocks) // _MOST_BLOCKS) or 1]  # rounded up
  return np.fft.rfft(blocks, 2 * _BLOCK).astype(np.complex64)


def _emphasis(bins: int) -> Float[np.ndarray, " f"]:
  """Return the gains of a difference of samples, of which power rises."""
  return 2 * np.sin(np.pi / 2 * np.arange(bins, dtype=np.float32) / (bins - 1))


def _energy(
  spectra: Complex64[np.ndarray, "blocks f"],
) -> Float[np.ndarray, " blocks"]:
  power = np.square(np.abs(spectra))
  both = 2 * power.sum(axis=1) - power[:, 0] - power[:, -1]
  return both / (2 * _BLOCK)


def _solved(
  auto: Float[np.ndarray, " lags"], cross: Float[np.ndarray, " lags"]
) -> Float[np.ndarray, " lags"]:
  """Return the filter of least squares; 0 if the other stem is silent."""
  from scipy import linalg  # takes long to import

  if auto[0] <= 0:
    return np.zeros_like(cross)
  auto = auto.copy()
  auto[0] *= 1 + _RIDGE
  return linalg.solve_toeplitz(auto, cross)


def _power(
  response: Float[np.ndarray, " lags"], auto: Float[np.ndarray, " n"]
) -> float:
  """Return the energy of a filtered signal from its autocorrelation."""
  lagged = np.correlate(response, response, "full")[len(response) - 1 :]
  lagged[1:] *= 2
  return float(lagged @ auto[: len(lagged)])
