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
_SHARP = 8.0  # of the decision between triads
_FEWEST_TONES = 2.0  # pitch classes, below which no key is meant
# Share of notes in all magnitudes: at most 0.2 in 9 of 10 drum parts, at least
# 0.26 in 9 of 10 mixes (measured).
_TONAL = (0.15, 0.25)

# Log-odds of a key per feature of `pitch_classes`, from the tonic on. Fitted to
# the band's training split by
# `python launch/benchmark.py detection --fit --songs=240 --seconds=16`.
_WEIGHTS = {
  "major": (
    "1.6 -1.0 0.5 0.2 1.2 0.2 -0.2 0.4 0.3 2.5 -1.5 -0.7 "
    "4.0 -0.9 2.3 -2.2 3.5 0.7 -5.0 1.4 -2.3 0.1 -4.1 -0.1 "
    "1.1 -1.0 1.2 -0.5 -0.1 0.8 0.1 -0.5 -0.9 0.1 0.8 1.3 "
    "4.6 -0.2 -1.2 -1.1 -1.3 2.6 -0.0 2.6 -0.5 0.3 -1.0 -1.5 "
    "-0.5 -0.3 -0.6 -0.4 3.1 0.1 0.0 -2.1 -0.4 -0.2 -0.3 -1.8 "
    "2.2 -0.5 -1.4 -0.0 -1.2 0.5 -0.2 0.3 0.2 0.7 -0.1 -1.1 "
    "0.7 -0.2 0.1 -0.1 1.8 -0.2 0.4 -1.2 -0.5 0.3 -0.3 -1.0"
  ),
  "minor": (
    "1.1 -0.7 0.6 -0.5 -1.6 -0.2 -0.8 0.3 -0.3 -1.4 0.4 -0.3 "
    "5.2 -3.6 1.3 4.6 -3.4 1.1 -2.5 5.4 1.4 -3.0 -2.4 -1.7 "
    "0.7 -0.5 0.5 -0.2 -1.1 0.3 -0.2 -0.6 -0.1 -0.7 0.4 -0.9 "
    "-0.7 1.1 -0.3 -2.1 -0.2 -1.7 -0.0 -0.3 0.4 -0.4 1.3 -0.5 "
    "6.4 0.4 1.1 -0.3 -0.7 0.1 -0.0 -1.5 -0.5 -0.9 -0.7 0.1 "
    "-0.5 1.2 -0.0 -0.1 -0.0 0.1 0.2 0.5 0.2 -0.4 0.0 -0.5 "
    "2.0 0.1 -0.1 0.3 -0.5 0.5 -0.2 -0.4 -0.8 -0.7 -0.2 0.2"
  ),
}
_BIAS = {"major": -0.37, "minor": 0.37}


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


def pitch_classes(sound: Audio) -> Float[np.ndarray, "7 12"]:
  """Return shares of pitch classes and triads, the features of `scores`.

  Pitch classes in the bass, in chords and at the beginning; major and minor
  triads by their roots, everywhere and at the beginning.
  """
  return _shares(_notes(sound)[0])


def _notes(sound: Audio) -> tuple[Float[np.ndarray, "t 84"], float]:
  """Return magnitudes of notes, and their share of all magnitudes."""
  samples = spectrum.leveled(mono(sound), sound.sample_rate, _RATE)  # [n, 1]
  centers = np.arange(0, len(samples), round(_SECONDS * _RATE))
  powers = spectrum.powers(samples, _RATE, centers, windows=(0, 1))
  magnitudes = np.sqrt(powers)  # [t, 84]
  # Medians over time have no drums.
  notes = _peaks(np.median(_around(magnitudes), axis=-1))
  return notes, float(notes.sum() / max(float(magnitudes.sum()), 1e-9))


def _shares(notes: Float[np.ndarray, "t 84"]) -> Float[np.ndarray, "7 12"]:
  all_classes = _classes(notes, slice(0, _CHORDS.stop))  # [t, 12]
  first = round(_FIRST_SECONDS / _SECONDS)
  smooth = _around(all_classes).mean(axis=-1)  # [t, 12]
  return np.stack(
    [
      _mean(_classes(notes, _BASS)),
      _mean(_classes(notes, _CHORDS)),
      _mean(all_classes[:first]),
      *_triads(smooth),
      *_triads(smooth[:first]),
    ]
  )


def scores(shares: Float[np.ndarray, "7 12"]) -> Float[np.ndarray, " 24"]:
  """Return log-odds of the 12 major and the 12 minor keys, from C on."""
  # [12, 84]: shares from each tonic on.
  rolled = np.stack([np.roll(shares, -t, axis=1).ravel() for t in range(12)])
  return np.concatenate(
    [rolled @ _numbers(_WEIGHTS[mode]) + _BIAS[mode] for mode in MODES]
  )


def _numbers(text: str) -> Float[np.ndarray, " n"]:
  return np.array(text.split(), float)


def _around(values: Float[np.ndarray, "t b"]) -> Float[np.ndarray, "t b m"]:
  """Return the frames around each one, in time."""
  side = _MEDIAN // 2
  padded = np.pad(values, ((side, side), (0, 0)), mode="edge")
  return np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN, axis=0)


def _peaks(values: Float[np.ndarray, "t b"]) -> Float[np.ndarray, "t b"]:
  """Return the bands that are louder than both neighbors, else 0."""
  padded = np.pad(values, ((0, 0), (1, 1)))
  louder = (values > padded[:, :-2]) & (values >= padded[:, 2:])
  return np.where(louder, values, 0)


def _classes(
  notes: Float[np.ndarray, "t 84"], bands: slice
) -> Float[np.ndarray, "t 12"]:
  """Return sums of some bands over octaves."""
  chosen = np.zeros_like(notes)
  chosen[:, bands] = notes[:, bands]
  return chosen.reshape(len(notes), -1, 12).sum(axis=1)


def _unit(classes: Float[np.ndarray, "t 12"]) -> Float[np.ndarray, "t 12"]:
  """Return frames of about unit length; quiet ones are shorter."""
  loudness = np.linalg.norm(classes, axis=1, keepdims=True)
  return classes / (loudness + _QUIET * loudness.mean() + 1e-9)


def _mean(classes: Float[np.ndarray, "t 12"]) -> Float[np.ndarray, " 12"]:
  mean = _unit(classes).mean(axis=0)
  return mean / (np.linalg.norm(mean) + 1e-9)


def _triads(classes: Float[np.ndarray, "t 12"]) -> Float[np.ndarray, "2 12"]:
  """Return shares of the time of major and minor triads, from C on."""
  unit, loudness = _unit(classes), np.linalg.norm(classes, axis=1)
  fifth = unit + np.roll(unit, -7, axis=1)
  thirds = [fifth + np.roll(unit, -third, axis=1) for third in (4, 3)]
  odds = np.exp(_SHARP * np.concatenate(thirds, axis=1))  # [t, 24]
  odds /= odds.sum(axis=1, keepdims=True)
  weight = np.minimum(1, loudness / (loudness.mean() + 1e-9))  # [t]
  return (odds * weight[:, None]).mean(axis=0).reshape(2, 12)
