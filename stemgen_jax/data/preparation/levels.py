"""Bring raw multitracks to the usual balance of a mix.

Tracks of a session have the level that they were recorded at: a quiet one would
hardly count in its contexts.
"""

import collections
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from stemgen_jax import audio
from stemgen_jax.data import songs
from stemgen_jax.data.sources import names
from stemgen_jax.data.sources.midi.performance import USUAL_DB

_VOCALS_DB = 3.0
_REFERENCE_DB = -26.0  # loudness of a stem at 0 dB: mixes are near -18 then


def gains(
  described: Sequence[songs.Stem],
  stems: Float32[np.ndarray, "stems samples channels"],
  sample_rate: int,
  threshold_db: float,
) -> Float32[np.ndarray, " stems"]:
  """Return the gains that bring every category of a song to its usual level.

  Stems of one category are equally loud and share its level, but drums keep
  their own balance: their stems are microphones of one kit. Stems that are too
  quiet to be used, such as the noise of an empty track, have gain 1.

  Args:
    described: stems of the song.
    stems: their audio.
    sample_rate: sample rate in Hz.
    threshold_db: see `pairs.PairConfig`.
  """
  loudness = [audio.loudness_db(stem, sample_rate) for stem in stems]
  groups = collections.defaultdict(list)
  for index, stem in enumerate(described):
    if loudness[index] > threshold_db:
      groups[stem.category, names.is_vocal(stem.name)].append(index)
  found = np.ones(len(stems), np.float32)
  for (category, sung), members in groups.items():
    level = _REFERENCE_DB
    level += _VOCALS_DB if sung else USUAL_DB.get(category, 0.0)
    if category == "drums":
      together = audio.loudness_db(stems[members].sum(axis=0), sample_rate)
      found[members] = audio.gain_to(together, level)
      continue
    level -= 10 * np.log10(len(members))
    for index in members:
      found[index] = audio.gain_to(loudness[index], level)
  return found
