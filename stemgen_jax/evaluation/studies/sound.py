"""Does a stem sound like its instrument? A few figures next to real stems'.

Level, brightness, noisiness and density of onsets show whether a take is
silent, noise, or in the range of real stems of the instrument. They do not
show whether it fits the context.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import signal

from stemgen_jax import audio, categories, paths, text_tables
from stemgen_jax.codec import decode
from stemgen_jax.data.examples import Examples
from stemgen_jax.evaluation.subject import Subject
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.model.weights import check_codec
from stemgen_jax.sampling import Settings

PAIRS = (("drums", "bass"), ("chords", "bass"), ("chords", "drums"))
"""Loops and the instruments that are generated to them."""
FIGURES: tuple[str, ...] = (
  "level_db",
  "centroid_hz",
  "flatness",
  "onsets_per_second",
)

_WINDOW_SECONDS, _HOP_SECONDS = 0.04, 0.01
_QUIET_DB = -50.0  # frames this far below the loudest one are ignored
_FLOOR = 1e-5  # added to magnitudes, so that silence has no onsets
_RISE = 0.5  # least mean rise of the log spectrum at an onset, in nepers
_APART_SECONDS = 0.06  # least distance of onsets


def run(subject: Subject) -> dict[str, Any]:
  """Compare takes with the examples of a subject."""
  engine, options = subject.engine, subject.options
  return sound(
    engine,
    subject.coded_examples(engine.config, options.examples or 0),
    settings=subject.settings,
    seed=options.seed,
  ) | {"preset": options.preset}


def describe(
  samples: Float[np.ndarray, "n c"], sample_rate: int
) -> dict[str, float]:
  """Compute the figures of a stem.

  The onsets are not librosa's, which the base install does not have.

  Args:
    samples: audio in -1..1; channels are averaged.
    sample_rate: samples per second.

  Returns:
    `level_db`, RMS in dB of full scale; `centroid_hz`, the power-weighted mean
    of the spectral centroid; `flatness`, geometric over arithmetic mean of the
    power spectrum, median over frames that are not silent: 0 for a tone, 0.56
    for white noise; `onsets_per_second`. Silence has -inf, 0, 0, 0.
  """
  mono = samples.mean(axis=1)
  window = round(_WINDOW_SECONDS * sample_rate)
  hop = round(_HOP_SECONDS * sample_rate)
  # [f], [f, t]
  frequencies, _, spectrum = signal.stft(
    mono, sample_rate, nperseg=window, noverlap=window - hop
  )
  power = np.abs(spectrum.T) ** 2  # [t, f]
  energy = power.sum(axis=1)
  if not energy.any():
    return dict(zip(FIGURES, (-np.inf, 0.0, 0.0, 0.0)))
  # 1e-20 keeps the logarithm finite.
  sounding = power[energy > energy.max() * 10 ** (_QUIET_DB / 10)] + 1e-20
  flatness = np.exp(np.log(sounding).mean(axis=1)) / sounding.mean(axis=1)
  # Half-wave rectified flux of the log spectrum, [t - 1, f].
  rise = np.diff(np.log(np.sqrt(power) + _FLOOR), axis=0).clip(min=0)
  onsets, _ = signal.find_peaks(
    # Padded, so that an onset in the first frame is a peak.
    np.pad(rise.mean(axis=1), 1),
    height=_RISE,
    distance=round(_APART_SECONDS / _HOP_SECONDS),
  )
  return {
    "level_db": float(10 * np.log10(np.mean(mono**2))),
    "centroid_hz": float((power @ frequencies).sum() / energy.sum()),
    "flatness": float(np.median(flatness)),
    "onsets_per_second": len(onsets) * sample_rate / len(mono),
  }


def ranges(described: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
  """Return the 5 %, 50 % and 95 % quantiles of every figure."""
  return {
    name: [
      round(float(x), 4)
      for x in np.quantile([one[name] for one in described], (0.05, 0.5, 0.95))
    ]
    for name in FIGURES
  }


def sound(
  engine: StemGen, examples: Examples, *, settings: Settings, seed: int
) -> dict[str, Any]:
  """Generate stems to the package's loops; describe them and real stems.

  Args:
    engine: model and codec.
    examples: codes of real stems by the same codec; they are decoded, so that
      both sides have the codec's losses.
    settings: how to sample.
    seed: seed of the takes.

  Returns:
    A dict for JSON: `takes`, figures by "LOOP loop, INSTRUMENT"; `real`,
    [5 %, 50 %, 95 %] of each figure by instrument.

  Raises:
    ValueError: the examples come from another codec, or have no stem of an
      instrument that is generated.
  """
  check_codec(engine.config, examples.codec, examples.checksum)
  real = {
    instrument: examples.select(
      examples.category == categories.category_id(instrument)
    )
    for _, instrument in PAIRS
  }
  for instrument, stems in real.items():
    if not len(stems):
      raise ValueError(
        f"{len(examples)} examples: none has a real {instrument} to compare "
        "with; give more --examples or another --data"
      )
  result: dict[str, Any] = {"takes": {}, "real": {}}
  for loop, instrument in PAIRS:
    # Decode each instrument's stems once.
    if instrument not in result["real"]:
      mine, codec = real[instrument], engine.codec
      # At their own level, if the codec has scales.
      stems = decode(codec, mine.target, mine.target_scales)
      described = [describe(stem, codec.sample_rate) for stem in stems]
      result["real"][instrument] = ranges(described)
    take = engine.generate(
      audio.read(paths.LOOPS / f"{loop}.flac"),
      instrument,
      seed=seed,
      settings=settings,
    )
    figures = describe(take.audio.samples, take.audio.sample_rate)
    result["takes"][f"{loop} loop, {instrument}"] = {
      name: round(value, 4) for name, value in figures.items()
    }
  return result


def table(result: Mapping[str, Any]) -> str:
  """Return the figures as text, with median and range of real stems."""
  rows = [
    (name, *(f"{figures[figure]:.2f}" for figure in FIGURES))
    for name, figures in result["takes"].items()
  ]
  for name, figures in result["real"].items():
    spans = ("{1:.2f} ({0:.2f}..{2:.2f})".format(*figures[f]) for f in FIGURES)
    rows.append((f"real {name}", *spans))
  return text_tables.aligned(rows, ("", *FIGURES))
