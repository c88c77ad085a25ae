"""Find recorded stems that are unsuitable for training.

White noise, a constant offset, clipping, copies of another stem, and audio that
is in two splits. Only files of audio are examined: rendered stems are right by
construction.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.data import songs
from stemgen_jax.data.sources import multitracks

# Kinds of problems -> treatment without --keep_suspicious.
KINDS = {
  "white noise": "stem left out",
  "constant offset": "removed; never a target",
  "clipped audio": "never a target",
  "near duplicate": "stem left out",
  "likely duplicate": "never a target",
  "same audio": "never a target",
}
ONLY_CONTEXT = tuple(x for x in KINDS if KINDS[x].endswith("never a target"))
OVERRIDE = "--keep_suspicious overrides"

_FRAME_SECONDS, _MOST_FRAMES, _LEAST_FRAMES = 0.02, 3000, 32
# Noise: frames within 3 dB, and a flat spectrum (white noise has 1) over a
# band that reaches beyond basses. Percussion of noise is mostly silence.
_STEADY_DB, _STEADY_SHARE, _FLAT, _BAND_HZ = 3.0, 0.95, 0.8, 2000.0
_LEAST_SOUNDING = 0.5
# Equal samples at full scale. A loud sine of 40 Hz has fewer in a row. A square
# wave consists of them, and between them has few values, such as that of rests.
_FULL, _RUN, _LEAST_CLIPPED, _SQUARE, _FEW = 0.98, 4, 1e-3, 0.9, 8
# Smooth tops are flat after rounding, but lead there in smaller steps. Sounds
# of 8 bits or fewer keep most of their values for several samples.
_EDGE, _EIGHT_BITS, _HELD = 1e-3, 256, 0.25
# Copies: correlation of waveforms, at most so far apart, as by an encoder.
# Layers, as a bass and its sub bass, are alike below 300 Hz only, or less so.
_ALIKE, _ENVELOPES_ALIKE, _LAG_SECONDS = 0.95, 0.9, 0.06
_EQUAL, _ABOVE_HZ, _LEAST_ABOVE = 0.99, 300.0, 1e-4
_LOW_RATE, _PER_BLOCK = 4000, 400  # Hz; samples of 0.1 s


def is_recorded(stem: songs.Stem) -> bool:
  """Return whether a stem consists of files of audio."""
  suffixes = {file.suffix.lower() for file in stem.files}
  return bool(suffixes) and suffixes.issubset(multitracks.SUFFIXES)


def of_stem(stem: songs.Stem, sound: Audio) -> Iterator[songs.Problem]:
  """Yield what is suspicious about a stem alone.

  Args:
    stem: the stem.
    sound: its audio, at the rate of its files.
  """
  if not is_recorded(stem) or audio.rms_db(sound.samples) == -np.inf:
    return
  offset = audio.offset(sound.samples, sound.sample_rate)
  if offset.any():
    largest = float(offset[np.abs(offset).argmax()])
    yield _problem(
      "constant offset", f"offset of {largest:.3f} of full scale", stem
    )
  if _is_noise(audio.mono(sound), sound.sample_rate):
    yield _problem("white noise", "white noise throughout", stem)
  # Clipping of a part is not visible in a sum.
  parts = (
    [sound]
    if len(stem.files) == 1
    else (audio.read(file, fold=True) for file in stem.files)
  )
  share = max(map(_clipped, parts))
  if share:
    yield _problem(
      "clipped audio", f"{100 * share:.1f} % of its samples are clipped", stem
    )


def cleaned(sound: Audio) -> Audio:
  """Return a sound without its constant offset; silence for white noise."""
  samples = audio.without_offset(sound.samples, sound.sample_rate)
  if _is_noise(audio.mono(sound), sound.sample_rate):
    samples = np.zeros_like(samples)
  return dataclasses.replace(sound, samples=samples)


def copies(
  described: Sequence[songs.Stem],
  stems: Float[np.ndarray, "stems samples channels"],
  sample_rate: int,
) -> dict[int, songs.Problem]:
  """Return the indices of stems that repeat another one of the song.

  Of two, the first is kept, or the one that may be a target. A stem that is
  only similar, as a layer of another one, is a likely duplicate.

  Args:
    described: stems of the song.
    stems: their audio.
    sample_rate: sample rate in Hz.
  """
  step = max(1, sample_rate // _LOW_RATE)
  count = stems.shape[1] // (step * _PER_BLOCK)
  if not count:
    return {}
  low, envelopes = {}, {}
  for index, stem in enumerate(described):
    if not is_recorded(stem):
      continue
    mono = stems[index, : count * step * _PER_BLOCK].mean(axis=1)  # [n]
    mono = mono.reshape(-1, step).mean(axis=1)  # [n / step]
    if norm := float(np.linalg.norm(mono)):
      low[index] = mono / norm
      blocks = low[index].reshape(count, _PER_BLOCK)  # [blocks, samples]
      envelopes[index] = np.linalg.norm(blocks, axis=1)
  lags = round(_LAG_SECONDS * sample_rate / step)
  spectra: dict[int, np.ndarray] = {}
  found: dict[int, songs.Problem] = {}
  for pair in itertools.combinations(low, 2):
    one, other = pair
    if found.keys() & set(pair):
      continue
    if envelopes[one] @ envelopes[other] < _ENVELOPES_ALIKE:
      continue
    length = 2 * len(low[one])
    for index in pair:  # most stems are like no other
      if index not in spectra:
        spectra[index] = np.fft.rfft(low[index], length)
    product = spectra[one] * np.conj(spectra[other])
    near = _largest(product, lags)
    if near < _ALIKE:
      continue
    equal = near >= _EQUAL
    if equal:
      first = round(_ABOVE_HZ * step / sample_rate * length)
      # Norms above 300 Hz, of at most 1: those of the whole stems are 1.
      norms = [
        np.linalg.norm(spectra[index][first:]) * np.sqrt(2 / length)
        for index in pair
      ]
      if max(norms) ** 2 > _LEAST_ABOVE:
        product[:first] = 0
        equal = _largest(product, lags) >= _ALIKE * norms[0] * norms[1]
    copy, original = other, one
    if described[other].target and not described[one].target:
      copy, original = pair
    name = described[original].name
    found[copy] = _problem(
      "near duplicate" if equal else "likely duplicate",
      f"{'as' if equal else 'similar to'} {name}, correlation {near:.2f}",
      described[copy],
    )
  return found


def _largest(product: np.ndarray, lags: int) -> float:
  """Return the largest correlation up to a lag of a product of spectra."""
  correlations = np.abs(np.fft.irfft(product))
  return float(max(correlations[: lags + 1].max(), correlations[-lags:].max()))


def kept(problem: songs.Problem) -> songs.Problem:
  """Return a problem as it is reported with --keep_suspicious."""
  return songs.Problem(problem.kind, problem.message, problem.stem, False)


def _problem(kind: str, message: str, stem: songs.Stem) -> songs.Problem:
  names = ", ".join(file.name for file in stem.files[:2])
  text = message if names == stem.name else f"{names}: {message}"
  return songs.Problem(kind, text, stem.name)


def _is_noise(mono: Float[np.ndarray, " n"], sample_rate: int) -> bool:
  """Return whether a stem is stationary noise with a flat spectrum."""
  length = round(_FRAME_SECONDS * sample_rate)
  count = len(mono) // length
  if count < _LEAST_FRAMES:
    return False
  frames = mono[: count * length].reshape(count, length)
  # All frames: every nth one could be in time with the beats.
  energy = np.einsum("fn,fn->f", frames, frames)
  sounding = np.flatnonzero(energy > 1e-4 * energy.max())
  if len(sounding) < max(_LEAST_FRAMES, _LEAST_SOUNDING * count):
    return False
  level_db = 10 * np.log10(energy[sounding])
  steady = np.abs(level_db - np.median(level_db)) < _STEADY_DB
  if steady.mean() < _STEADY_SHARE:
    return False
  frames = frames[sounding[:: -(-len(sounding) // _MOST_FRAMES)]]  # rounded up
  power = np.abs(np.fft.rfft(frames * np.hanning(length))) ** 2  # [frames, f]
  # The mean spectrum up to where it ends, as encoders cut it.
  mean = power.mean(axis=0)[2:] + 1e-20
  top = int(np.searchsorted(np.cumsum(mean), 0.9 * mean.sum())) + 1
  if top / length * sample_rate < _BAND_HZ:
    return False
  band = mean[:top]
  return float(np.exp(np.log(band).mean()) / band.mean()) > _FLAT


def _clipped(sound: Audio) -> float:
  """Return the share of samples in flat tops at full scale."""
  shares = []
  for channel in sound.samples.T:
    high, low = channel.max(), channel.min()
    flat = np.zeros(len(channel), bool)
    for peak in (high, low):
      # Beyond full scale nothing was clipped.
      if _FULL <= abs(peak) <= 1:
        flat |= channel == peak
    edges = np.flatnonzero(np.diff(np.pad(flat, 1).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    padded = np.pad(channel, 1, mode="edge")
    step = np.maximum(
      np.abs(padded[starts + 1] - padded[starts]),
      np.abs(padded[ends] - padded[ends + 1]),
    )
    runs = (ends - starts)[step > _EDGE]
    share = float(runs[runs >= _RUN].sum() / len(channel))
    if share >= _LEAST_CLIPPED and not _is_stepped(channel[~flat], share):
      shares.append(share)
  return max(shares, default=0.0)


def _is_stepped(rest: Float[np.ndarray, " n"], share: float) -> bool:
  """Return whether samples between flat tops are those of a chip."""
  values = len(np.unique(rest))
  if values <= _FEW and share > _SQUARE:
    return True
  held = np.mean(rest[1:] == rest[:-1]) if len(rest) > 1 else 0.0
  return values <= _EIGHT_BITS and bool(held > _HELD)
