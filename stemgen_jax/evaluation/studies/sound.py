"""Does a stem sound like its instrument? A few figures beside real stems'.

Level, brightness, noisiness and density of onsets say at a glance whether a
take is silent, noise, or in the range of what the instrument really plays.
They say nothing of whether it fits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import signal

from stemgen_jax import audio, categories, paths
from stemgen_jax.codec import Codec, decode
from stemgen_jax.data.examples import Examples
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.model.weights import check_codec
from stemgen_jax.sampling import Settings

PLAYED = (("drums", "bass"), ("chords", "bass"), ("chords", "drums"))
"""(loop, instrument) pairs that are judged."""
FIGURES: tuple[str, ...] = (
  "level_db",
  "centroid_hz",
  "flatness",
  "onsets_per_second",
)

_WINDOW_SECONDS, _HOP_SECONDS = 0.04, 0.01
_QUIET_DB = -50.0  # frames this far below the loudest one do not count
_FLOOR = 1e-5  # of a magnitude, so that silence has no onsets
_RISE = 0.5  # mean rise of the log spectrum, in nepers, that is an onset
_APART_SECONDS = 0.06


def describe(
  samples: Float[np.ndarray, "n c"], sample_rate: int
) -> dict[str, float]:
  """Figures of a stem.

  Args:
    samples: -1..1; channels are averaged.
    sample_rate: in Hz.

  Returns:
    `level_db`, RMS in dB of full scale; `centroid_hz`, the power-weighted mean
    of the spectral centroid; `flatness`, geometric over arithmetic mean of the
    power spectrum, median over the sounding frames: 0 for a tone, 0.56 for
    white noise; `onsets_per_second`. Silence has -inf, 0, 0, 0.
  """
  mono = samples.mean(axis=1)
  window = round(_WINDOW_SECONDS * sample_rate)
  hop = round(_HOP_SECONDS * sample_rate)
  frequencies, _, spectrum = signal.stft(
    mono, sample_rate, nperseg=window, noverlap=window - hop
  )
  power = np.abs(spectrum.T) ** 2  # [t, f]
  energy = power.sum(axis=1)
  if not energy.any():
    return dict(zip(FIGURES, (-np.inf, 0.0, 0.0, 0.0)))
  sounding = power[energy > energy.max() * 10 ** (_QUIET_DB / 10)] + 1e-20
  flatness = np.exp(np.log(sounding).mean(axis=1)) / sounding.mean(axis=1)
  rise = np.diff(np.log(np.sqrt(power) + _FLOOR), axis=0).clip(min=0)
  onsets, _ = signal.find_peaks(
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


def ranges(
  described: Sequence[Mapping[str, float]],
) -> dict[str, list[float]]:
  """5 %, 50 % and 95 % of every figure over several stems."""
  return {
    name: [
      round(float(x), 4)
      for x in np.quantile([one[name] for one in described], (0.05, 0.5, 0.95))
    ]
    for name in FIGURES
  }


def sound(
  player: StemGen, examples: Examples, *, settings: Settings, seed: int
) -> dict[str, Any]:
  """Plays to the package's loops, and describes takes and real stems.

  Args:
    player: model and codec.
    examples: of real stems, as codes of the same codec; they are decoded, so
      that what the codec loses is lost on both sides.
    settings: how to sample.
    seed: of the takes.

  Returns:
    A dict for JSON: `takes`, figures by "LOOP loop, INSTRUMENT"; `real`,
    [5 %, 50 %, 95 %] of each figure by instrument.

  Raises:
    ValueError: the examples come from another codec than the player's, or
      have no stem of an instrument that is played.
  """
  check_codec(player.config, examples.codec, examples.checksum)
  real = {
    instrument: examples.category == categories.category_id(instrument)
    for _, instrument in PLAYED
  }
  for instrument, rows in real.items():
    if not rows.any():
      raise ValueError(
        f"of {len(examples)} examples none is of a real {instrument} to "
        "compare to: take more --examples, or others"
      )
  result: dict[str, Any] = {"takes": {}, "real": {}}
  for loop, instrument in PLAYED:
    if instrument not in result["real"]:
      result["real"][instrument] = ranges(
        [
          describe(stem, player.codec.sample_rate)
          for stem in _decode(player.codec, examples, real[instrument])
        ]
      )
    take = player.generate(
      audio.read(paths.LOOPS / f"{loop}.flac"),
      instrument,
      seed=seed,
      settings=settings,
    )
    result["takes"][f"{loop} loop, {instrument}"] = {
      name: round(value, 4)
      for name, value in describe(
        take.audio.samples, take.audio.sample_rate
      ).items()
    }
  return result


def _decode(
  codec: Codec, examples: Examples, rows: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, "m samples channels"]:
  """The real stems, at their own level where the codec keeps it apart."""
  scales = examples.target_scales
  return decode(
    codec, examples.target[rows], None if scales is None else scales[rows]
  )


def table(result: Mapping[str, Any]) -> str:
  """What `sound` returns, as lines to read."""
  rows = [f"{'':<22}" + "".join(f"{name:>24}" for name in FIGURES)]
  for name, figures in result["takes"].items():
    cells = (f"{figures[figure]:>24.2f}" for figure in FIGURES)
    rows.append(f"{name:<22}" + "".join(cells))
  for name, figures in result["real"].items():
    spans = ("{1:.2f} ({0:.2f}..{2:.2f})".format(*figures[f]) for f in FIGURES)
    cells = (f"{span:>24}" for span in spans)
    rows.append(f"{'real ' + name:<22}" + "".join(cells))
  return "\n".join(rows)
