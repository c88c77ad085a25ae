"""Key of a sound, from the pitch classes that sound in it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio import spectrum
from stemgen_jax.audio.sound import Audio, mono

TONES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Names of the pitch classes."""
MODES = ("major", "minor")

CLEAR = 0.5
"""Confidence from which a key is clear."""

_RATE, _SECONDS = 11025, 0.1  # of the sound, and of a frame
_MEDIAN = 5  # frames, longer than a drum sounds
_BASS, _CHORDS = slice(0, 30), slice(24, 60)  # semitones above C1
_FIRST_SECONDS = 1.2  # music often begins with the chord of its tonic
_QUIET = 0.2  # of the mean, below which a frame counts less
_FEWEST_TONES = 2.0  # pitch classes, below which no key is meant
# Share of notes in all magnitudes: at most 0.2 in 9 of 10 drum parts, at least
# 0.26 in 9 of 10 mixes (measured).
_TONAL = (0.15, 0.25)

# Log-odds of a key per share of a pitch class, from the tonic on: in the bass,
# in chords, and at the beginning. Fitted to the band's training split by
# `python launch/benchmark.py detection --fit --songs=240 --seconds=16`.
_WEIGHTS = {
  "major": (
    "2.4 -1.1 0.1 -0.2 1.0 0.8 -0.7 0.9 -0.0 1.9 -1.6 -1.0 "
    "3.9 -0.7 1.6 -2.5 3.6 0.8 -4.2 2.2 -2.3 -0.4 -4.0 0.3 "
    "2.2 -0.7 0.7 -0.9 0.8 0.6 -0.6 0.4 -1.3 -0.3 0.1 1.3"
  ),
  "minor": (
    "1.8 -0.6 0.6 -0.5 -1.5 -0.7 -0.6 0.5 -0.3 -1.3 0.5 -0.5 "
    "5.2 -2.6 0.8 5.0 -4.1 0.9 -2.2 4.9 0.5 -2.6 -2.4 -1.6 "
    "1.6 -0.1 0.6 0.4 -1.8 0.4 -0.6 0.0 -0.4 -1.2 -0.1 -0.9"
  ),
}
_BIAS = {"major": -0.28, "minor": 0.28}


class Key(NamedTuple):
  """A key as detected.

  Attributes:
    name: tonic and mode, as "A minor"; "" for a sound without pitch.
    confidence: probability of the key, 0 to 1; unclear below 0.5.
  """

  name: str
  confidence: float


def of(sound: Audio) -> Key:
  """Detect the key."""
  notes, tonal = _notes(sound)
  shares = _shares(notes)
  classes = shares[1] / max(float(shares[1].sum()), 1e-9)
  if (classes**2).sum() * _FEWEST_TONES > 1 or not classes.any():
    return Key("", 0.0)
  score = scores(shares)
  odds = np.exp(score - score.max())  # [24]
  mode, tonic = divmod(int(odds.argmax()), 12)
  pitched = np.interp(tonal, _TONAL, (0, 1))
  return Key(f"{TONES[tonic]} {MODES[mode]}", float(pitched / odds.sum()))


def pitch_classes(sound: Audio) -> Float[np.ndarray, "3 12"]:
  """Return shares of the pitch classes in bass, chords and the beginning."""
  return _shares(_notes(sound)[0])


def _notes(sound: Audio) -> tuple[Float[np.ndarray, "t 84"], float]:
  """Return magnitudes of notes, and their share of all magnitudes."""
  samples = spectrum.leveled(mono(sound), sound.sample_rate, _RATE)  # [n, 1]
  centers = np.arange(0, len(samples), round(_SECONDS * _RATE))
  powers = spectrum.powers(samples, _RATE, centers, windows=(0, 1))
  magnitudes = np.sqrt(powers)  # [t, 84]
  notes = _peaks(_sustained(magnitudes))
  return notes, float(notes.sum() / max(float(magnitudes.sum()), 1e-9))


def _shares(notes: Float[np.ndarray, "t 84"]) -> Float[np.ndarray, "3 12"]:
  first = notes[: round(_FIRST_SECONDS / _SECONDS)]
  return np.stack(
    [
      _folded(notes, _BASS),
      _folded(notes, _CHORDS),
      _folded(first, slice(0, _CHORDS.stop)),
    ]
  )


def scores(shares: Float[np.ndarray, "3 12"]) -> Float[np.ndarray, " 24"]:
  """Return log-odds of the 12 major and the 12 minor keys, from C on."""
  # [12, 36]: shares from each tonic on.
  rolled = np.stack([np.roll(shares, -t, axis=1).ravel() for t in range(12)])
  return np.concatenate(
    [rolled @ _numbers(_WEIGHTS[mode]) + _BIAS[mode] for mode in MODES]
  )


def _numbers(text: str) -> Float[np.ndarray, " n"]:
  return np.array(text.split(), float)


def _sustained(values: Float[np.ndarray, "t b"]) -> Float[np.ndarray, "t b"]:
  """Return running medians over time, without drums."""
  side = _MEDIAN // 2
  padded = np.pad(values, ((side, side), (0, 0)), mode="edge")
  view = np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN, axis=0)
  return np.median(view, axis=-1)


def _peaks(values: Float[np.ndarray, "t b"]) -> Float[np.ndarray, "t b"]:
  """Return the bands that are louder than both neighbors, else 0."""
  padded = np.pad(values, ((0, 0), (1, 1)))
  louder = (values > padded[:, :-2]) & (values >= padded[:, 2:])
  return np.where(louder, values, 0)


def _folded(
  values: Float[np.ndarray, "t b"], bands: slice
) -> Float[np.ndarray, " 12"]:
  """Return the mean of the frames' pitch classes, of unit length."""
  chosen = np.zeros_like(values)
  chosen[:, bands] = values[:, bands]
  classes = chosen.reshape(len(values), -1, 12).sum(axis=1)  # [t, 12]
  loudness = np.linalg.norm(classes, axis=1, keepdims=True)
  mean = (classes / (loudness + _QUIET * loudness.mean() + 1e-9)).mean(axis=0)
  return mean / (np.linalg.norm(mean) + 1e-9)
