"""Measure how well the coarsest codes predict the notes of a stem.

pip install -e '.[evaluate]'
"""

import collections
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from stemgen_jax import audio, disk, finite
from stemgen_jax.codec.protocol import Codec
from stemgen_jax.codec.scales import AUDIBLE

_STEMS = 24  # of a category and a split; encoding them takes minutes

Frames = tuple[Int[np.ndarray, " t"], Bool[np.ndarray, "t 12"]]


def auc(
  codec: Codec, songs: Iterable[Any], folder: pathlib.Path
) -> dict[str, float | None]:
  """Compute the AUC of the pitch classes of stems given their coarsest codes.

  The probability of a pitch class is its share in the frames of training stems
  of the category that have the same code; the AUC, over audible frames of
  held-out stems and averaged over pitch classes, is 0.5 by chance.

  Args:
    codec: mono codec.
    songs: songs whose stems have `notes`, see `data.songs`.
    folder: their audio, rendered by `clips.render`.

  Returns:
    AUC by category, 0..1; None where no pitch class ever changes.
  """
  frames = {"train": collections.defaultdict(list)}
  frames["valid"] = collections.defaultdict(list)
  for song in songs:
    of_split = frames.get(song.split, {})
    rendered = None
    for row, stem in enumerate(song.stems):
      if stem.notes is None or len(of_split[stem.category]) == _STEMS:
        continue
      if rendered is None:
        path = folder / f"{song.id}.npy"
        rendered = disk.read_npy(path, "delete the folder")
      samples = rendered[row].astype(np.float32)[:, None]
      of_split[stem.category].append(_frames(codec, samples, stem.notes()))
  return {
    category: _auc(codec, frames["train"][category], held_out)
    for category, held_out in sorted(frames["valid"].items())
    if frames["train"][category]
  }


def _frames(
  codec: Codec,
  samples: Float[np.ndarray, "n 1"],
  notes: Float[np.ndarray, "notes 3"],
) -> Frames:
  """Return code and pitch classes of every audible frame."""
  gain = audio.gain_to(audio.loudness_db(samples, codec.sample_rate))
  samples = samples * np.float32(gain)
  t = len(samples) // codec.hop
  codes = codec.encode(samples[None])[0, :t, 0]
  middles = (np.arange(t) + 0.5) * codec.hop / codec.sample_rate
  playing = np.zeros((t, 12), bool)
  for start, end, pitch in notes:
    playing[(middles >= start) & (middles < end), int(pitch) % 12] = True
  power = np.square(samples[: t * codec.hop]).reshape(t, -1).mean(1)
  audible = power > AUDIBLE**2
  return codes[audible], playing[audible]


def _auc(
  codec: Codec, training: list[Frames], held_out: list[Frames]
) -> float | None:
  from sklearn.metrics import roc_auc_score

  codes, playing = map(np.concatenate, zip(*training))
  shares = np.zeros((codec.codes_per_level, 12))
  np.add.at(shares, codes, playing)
  counts = np.bincount(codes, minlength=codec.codes_per_level)[:, None]
  # One more frame of every code, with the mean share: some codes are new.
  shares = (shares + playing.mean(0)) / (counts + 1)
  codes, playing = map(np.concatenate, zip(*held_out))
  values = [
    roc_auc_score(playing[:, number], shares[codes, number])
    for number in range(12)
    if playing[:, number].any() and not playing[:, number].all()
  ]
  return finite.or_none(finite.mean(np.array(values)), 3)
