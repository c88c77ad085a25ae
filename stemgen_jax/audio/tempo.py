"""Tempo and beats of a sound, from the times at which notes begin."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from stemgen_jax.audio import spectrum
from stemgen_jax.audio.sound import Audio, mono

RATE, _HOP = 22050, 256
FRAME_RATE = RATE / _HOP
"""Frames of `onset_strength` per second, 11.6 ms each."""

CLEAR = 0.5
"""Confidence from which a tempo is clear."""

_SLOWEST, _FASTEST = 45.0, 240.0  # beats per minute
_USUAL, _OCTAVES = 110.0, 0.9  # mean and deviation of the prior
_MULTIPLES = 8  # of a beat, at which onsets repeat
_SAME = 0.08  # octaves: tempi this near to a factor of 2 agree
_LOCAL_SECONDS = 0.5  # on each side, for the mean to subtract
# Where the autocorrelation is lower, or another tempo nearly as likely, as in
# noise (0.04) and in random notes (0.99 of the best), nothing is clear.
_REGULAR, _APART = 0.1, 0.2
# Seconds that can state a tempo: a 2 s cut of a 120 bpm loop repeats at 96 bpm.
_SHORTEST, _ENOUGH = 1.5, 5.0
_STEADY = 100.0  # weight of an even beat in relation to onsets
_BAR = 4  # beats
_NEAR = 0.04  # share by which two measures of a tempo may differ
_WEAKEST = 0.01  # mean strength of sounds that hardly change

Envelope = Float[np.ndarray, " t"]


class Tempo(NamedTuple):
  """Tempo and beats as detected.

  Attributes:
    bpm: beats per minute; 0 if nothing repeats. A musician may count half or
      twice of it.
    confidence: 0 to 1; unclear below 0.5.
    beats: beats in seconds, ascending.
  """

  bpm: float
  confidence: float
  beats: Float[np.ndarray, " n"]


def of(sound: Audio) -> Tempo:
  """Detect tempo and beats."""
  return of_strength(onset_strength(sound))


def of_loop(sound: Audio) -> Tempo:
  """Detect the tempo of one period of a loop, which has whole bars of 4 beats.

  Without a whole number of bars near the detected tempo, it has whole beats.
  """
  found = of(sound)
  for whole in (_BAR, 1):
    count = whole * max(1, round(sound.seconds * found.bpm / 60 / whole))
    bpm = 60 * count / sound.seconds
    if abs(bpm - found.bpm) < _NEAR * found.bpm:
      beats = np.arange(count) * sound.seconds / count
      return Tempo(bpm, found.confidence, beats)
  return found


def onset_strength(sound: Audio) -> Envelope:
  """Measure how much a sound gets louder, `FRAME_RATE` times a second."""
  samples = spectrum.leveled(mono(sound), sound.sample_rate, RATE)  # [n, 1]
  centers = np.arange(0, len(samples), _HOP)
  powers = spectrum.powers(samples, RATE, centers, windows=(2,))  # [t, mels]
  # -40 dB of full scale and below count little.
  levels = np.log1p(1e4 * powers)
  rise = np.zeros(len(levels))
  rise[2:] = (levels[2:] - levels[:-2]).clip(min=0).mean(axis=1)
  local = _mean_around(rise, round(_LOCAL_SECONDS * FRAME_RATE))
  return (rise - 0.7 * local).clip(min=0)


def of_strength(strength: Envelope) -> Tempo:
  """Detect tempo and beats in the strength of onsets."""
  strength = np.convolve(strength, (0.25, 0.5, 0.25), "same")
  bpm, confidence = _tempo(strength)
  if not bpm:
    return Tempo(0.0, 0.0, np.zeros(0))
  frames = _beats(strength, 60 * FRAME_RATE / bpm)
  refined = _refined(bpm, frames, strength[frames])
  return Tempo(refined, confidence, frames / FRAME_RATE)


def _mean_around(values: Envelope, side: int) -> Envelope:
  total = np.cumsum(np.pad(values, (side + 1, side), mode="edge"))
  return (total[2 * side + 1 :] - total[: -2 * side - 1]) / (2 * side + 1)


def _tempo(strength: Envelope) -> tuple[float, float]:
  """Return the tempo whose multiples the onsets repeat at, and its confidence.

  A tempo of 0 stands for a sound without onsets.
  """
  frames = len(strength)
  if frames < 2 * FRAME_RATE or strength.mean() < _WEAKEST:
    return 0.0, 0.0
  similar = _autocorrelation(strength)  # [t]
  step = 0.005
  bpm = np.exp(np.arange(np.log(_SLOWEST), np.log(_FASTEST), step))  # [b]
  # Lags of 1 to 8 beats, [8, b]; longer ones have too few frames.
  lags = np.arange(1, _MULTIPLES + 1)[:, None] * 60 * FRAME_RATE / bpm
  known = lags < 0.6 * frames
  values = np.interp(lags, np.arange(frames), similar) * known
  regular = values.sum(axis=0) / known.sum(axis=0).clip(min=1)  # [b]
  octaves = np.log2(bpm / _USUAL) / _OCTAVES
  score = regular * np.exp(-(octaves**2) / 2)
  best = int(score.argmax())
  if score[best] <= 0:
    return 0.0, 0.0
  apart = np.log2(bpm / bpm[best])
  other = np.abs(apart - np.round(apart)) > _SAME
  margin = 1 - max(float(score[other].max()), 0.0) / score[best]
  confidence = min(1, margin / _APART) * min(1, regular[best] / _REGULAR)
  seconds = frames / FRAME_RATE
  confidence *= min(1, (seconds - _SHORTEST) / (_ENOUGH - _SHORTEST))
  return float(bpm[best]), float(confidence)


def _autocorrelation(strength: Envelope) -> Envelope:
  frames = len(strength)
  size = 1 << (2 * frames).bit_length()
  transform = np.fft.rfft(strength - strength.mean(), size)
  found = np.fft.irfft(np.abs(transform) ** 2, size)[:frames]
  found /= frames - np.arange(frames)  # as many products as frames overlap
  return found / found[0]


def _beats(strength: Envelope, period: float) -> np.ndarray:
  """Return frames of beats: strong ones in even distances (Ellis, 2007)."""
  lags = np.arange(round(period / 2), round(2 * period) + 1)
  uneven = _STEADY * np.log(lags / period) ** 2
  score = strength / strength.std()
  before = np.full(len(score), -1)
  for t in range(lags[0], len(score)):
    n = min(t, lags[-1]) - lags[0] + 1  # lags within the sound
    # [n]: scores of the beats before, the nearest first.
    earlier = score[t - lags[0] - n + 1 : t - lags[0] + 1][::-1] - uneven[:n]
    k = int(earlier.argmax())
    if earlier[k] > 0:
      score[t] += earlier[k]
      before[t] = t - lags[k]
  last = max(0, len(score) - round(period))
  at, found = last + int(score[last:].argmax()), []
  while at >= 0:
    found.append(at)
    at = int(before[at])
  return np.array(found[::-1])


def _refined(bpm: float, frames: np.ndarray, strength: Envelope) -> float:
  """Return the tempo of a straight line through the beats, if it is near.

  Strong beats count more: half the error for drums (measured).
  """
  if len(frames) < 4:
    return bpm
  period = np.polyfit(np.arange(len(frames)), frames, 1, w=strength + 1e-6)[0]
  found = 60 * FRAME_RATE / float(period)
  return found if abs(found / bpm - 1) < _NEAR else bpm
