"""MIRDD: do generated mixes have the musical statistics of real ones?

For each of ten descriptors of a mix or a stem (StemGen, section 4), the
divergence KL(real || generated) of the two populations' histograms, in nats,
and the mean of the ten. The paper's eleventh, beats per bar, is left out: in
music that is all in 4/4 it is the same for any stem. The paper does not give
bins and smoothing. Here every descriptor
has the bins below, and half a count is added to each bin. So values compare
only within this project, with two anchors: the floor, which is real mixes
against other real mixes, and random pairing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from stemgen_jax import finite

_SMOOTHING = 0.5  # counts added to every bin (Jeffreys)
_SPLITS = 16  # random halves of the real mixes, for the floor

_KEYS = 24
_TRIADS = 25  # major and minor on twelve roots, and no chord

BINS: dict[str, Float[np.ndarray, " edges"]] = {
  "key": np.arange(_KEYS + 1) - 0.5,
  "note_range": np.arange(0, 90, 6) - 0.5,
  "pitch_classes_used": np.arange(14) - 0.5,
  "percussive_density": np.arange(0, 34, 3) - 0.5,
  "chord_variety": np.arange(14) - 0.5,
  "tonality_changes": np.linspace(0, 1, 11),
  "note_pitches": np.arange(21, 112, 3) - 0.5,
  "note_pitch_classes": np.arange(13) - 0.5,
  "chord_triads": np.arange(_TRIADS + 1) - 0.5,
  "structure_labels": np.arange(9) - 0.5,
}
"""Bin edges of every descriptor; values outside go to the outermost bins."""

NAMES = {
  "key": "key",
  "note_range": "note pitch range, semitones",
  "pitch_classes_used": "number of unique pitch classes",
  "percussive_density": "most percussive hits within 0.6 s, in three bands",
  "chord_variety": "number of different chord labels",
  "tonality_changes": "share of chord changes between major and minor",
  "note_pitches": "note pitches",
  "note_pitch_classes": "note pitch classes",
  "chord_triads": "chord triad labels",
  "structure_labels": "structure labels (proxy: novelty of self-similarity)",
}
"""Labels of the descriptors."""

Described = Mapping[str, Sequence[float]]
"""Values of each descriptor of one sound: one key, many pitches."""


def divergence(
  real: Sequence[float], other: Sequence[float], edges: np.ndarray
) -> float:
  """Compute KL(real || other) of smoothed histograms, in nats.

  Returns:
    At least 0; NaN if one side has no values.
  """
  if not len(real) or not len(other):
    return float("nan")
  # Move values outside of the bins into the outermost ones.
  inside = edges[0] + 1e-9, edges[-1] - 1e-9
  p, q = (
    np.histogram(np.clip(values, *inside), edges)[0] + _SMOOTHING
    for values in (real, other)
  )
  p, q = p / p.sum(), q / q.sum()  # [bins]
  return float((p * np.log(p / q)).sum())


def mirdd(
  real: Sequence[Described], other: Sequence[Described]
) -> dict[str, float]:
  """Compute the divergence of every descriptor, and their finite `mean`."""
  found = {
    name: divergence(_pool(real, name), _pool(other, name), edges)
    for name, edges in BINS.items()
  }
  return found | {"mean": finite.mean(list(found.values()))}


def floor(real: Sequence[Described], seed: int = 0) -> dict[str, float]:
  """Compute MIRDD between random halves of the real mixes, in the mean."""
  rng = np.random.default_rng(seed)
  halves = []
  for _ in range(_SPLITS):
    # Halves differ in size by one if the number is odd.
    order = rng.permutation(len(real))
    one, other = np.array_split(order, 2)
    halves.append(mirdd([real[i] for i in one], [real[i] for i in other]))
  return {
    name: finite.mean([half[name] for half in halves]) for name in halves[0]
  }


def table(
  described: Mapping[str, Sequence[Described]], seed: int = 0
) -> dict[str, dict[str, float]]:
  """Compute MIRDD of every system against the real one, and the floor."""
  real = described["real"]
  columns = {"floor": floor(real, seed)} if len(real) > 1 else {}
  for system, mixes in described.items():
    if system != "real" and mixes:
      columns[system] = mirdd(real, mixes)
  return columns


def _pool(mixes: Sequence[Described], name: str) -> list[float]:
  # All values of a population together: one histogram per descriptor.
  return [value for mix in mixes for value in mix[name]]
