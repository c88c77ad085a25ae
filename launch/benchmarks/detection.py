"""Measure the detection of tempo and key, or fit its weights."""

import argparse
import time
from collections.abc import Iterator

import numpy as np

from stemgen_jax.audio import Audio, key, tempo
from stemgen_jax.data.sources.band.source import FIRST, Band
from stemgen_jax.evaluation import reference_annotations

_UNPITCHED = ("drums", "percussive")
_STEPS, _RATE, _DECAY = 1000, 0.5, 5e-4  # of the fit


def run(arguments: argparse.Namespace) -> None:
  """Print shares of correct tempi and keys of held-out songs of the band."""
  if arguments.fit:
    _fit(arguments.songs, arguments.seconds)
    return
  rows: dict[str, list[tuple[float, ...]]] = {"mix": [], "without drums": []}
  for bpm, name, mixes in _songs("test", arguments.songs, arguments.seconds):
    for kind, mix in zip(rows, mixes):
      began = time.perf_counter()
      found, found_key = tempo.of(mix), key.of(mix)
      seconds = time.perf_counter() - began
      ratio = found.bpm / bpm
      near = min(abs(ratio / factor - 1) for factor in (0.5, 1, 2)) <= 0.04
      rows[kind].append(
        (
          near,
          abs(ratio - 1) <= 0.04,
          found.confidence >= tempo.CLEAR,
          found_key.name == name,
          found_key.confidence >= key.CLEAR,
          seconds,
        )
      )
  for kind, values in rows.items():
    near, exact, clear, right, sure, seconds = np.array(values).T
    print(
      f"{kind}, {len(near)} songs of {arguments.seconds:g} s: tempo "
      f"{near.mean():.0%} (to a factor of 2; exactly {exact.mean():.0%}), "
      f"clear {clear.mean():.0%}, of which {near[clear > 0].mean():.0%}; key "
      f"{right.mean():.0%}, clear {sure.mean():.0%}, of which "
      f"{right[sure > 0].mean():.0%}; {np.median(seconds):.3f} s each"
    )


def _songs(
  split: str, songs: int, seconds: float
) -> Iterator[tuple[float, str, tuple[Audio, Audio]]]:
  """Yield tempo, key, and mixes with and without drums of songs."""
  band = Band(seconds=seconds, sample_rate=22050)
  for number in range(FIRST[split], FIRST[split] + songs):
    score = band.score(number)
    stems = [(x.category, x.read().samples) for x in band.song(number).stems]
    sums = (
      sum(samples for _, samples in stems),
      sum(samples for name, samples in stems if name not in _UNPITCHED),
    )
    mixes = [Audio(np.asarray(x, np.float32), band.sample_rate) for x in sums]
    annotated = reference_annotations.of_score(score, 0, seconds)
    yield score.tempo, annotated.key, (mixes[0], mixes[1])


def _fit(songs: int, seconds: float) -> None:
  """Fit the weights of `audio.key` to the training split, and print them."""
  features, keys = [], []
  for _, name, mixes in _songs("train", songs, seconds):
    for mix in mixes:
      # Whole songs, their halves, and the middle.
      for first, last in ((0, 1), (0, 0.5), (0.25, 0.75), (0.5, 1)):
        part = slice(*(round(x * len(mix.samples)) for x in (first, last)))
        shares = key.pitch_classes(Audio(mix.samples[part], mix.sample_rate))
        features.append([np.roll(shares, -t, axis=1) for t in range(12)])
        tonic, mode = name.split()
        keys.append(key.TONES.index(tonic) + 12 * key.MODES.index(mode))
  x = np.array(features).reshape(len(keys), 12, -1)  # [n, tonics, 84]
  weights, bias = np.zeros((2, x.shape[2])), np.zeros(2)
  momentum, wanted = np.zeros_like(weights), np.eye(24)[keys]  # [n, 24]
  for _ in range(_STEPS):
    score = np.concatenate([x @ w + b for w, b in zip(weights, bias)], axis=1)
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    error = odds / odds.sum(axis=1, keepdims=True) - wanted
    error = error.reshape(len(keys), 2, 12) / len(keys)  # [n, modes, tonics]
    gradient = np.einsum("nmt,ntd->md", error, x) + _DECAY * weights
    momentum = 0.9 * momentum + gradient
    weights -= _RATE * momentum
    bias -= _RATE * error.sum(axis=(0, 2))
  for mode, row, constant in zip(key.MODES, weights, bias):
    print(f"{mode}: {constant:.2f}")
    for part in row.reshape(-1, 12):
      print("  " + " ".join(f"{value:.1f}" for value in part))
