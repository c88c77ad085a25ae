"""The package's weights on a song that they were not trained on."""

import dataclasses
import json

import numpy as np
import pytest

from stemgen_jax import coherence, disk, paths
from stemgen_jax.audio import Audio
from stemgen_jax.data.sources import band


def test_weights_are_small_and_state_their_settings():
  assert paths.COHERENCE.stat().st_size <= 2e6
  about = json.loads(paths.COHERENCE.with_suffix(".json").read_text())
  assert about["checksum"] == disk.checksum(paths.COHERENCE)
  assert about["metadata"]["training"]["seed"] == 11


@pytest.mark.parametrize("role", ["bass", "comp"])
def test_a_stem_fits_better_than_its_counterexamples(role):
  source = band.Band(seed=5, seconds=10.0)
  number = next(
    number
    for number in source.numbers("test")
    if {"drums", "bass", "comp"} <= {x.name for x in source.score(number).parts}
  )
  score = source.score(number)
  (part,) = (part for part in score.parts if part.name == role)
  context = sum(
    source.read(other).samples for other in score.parts if other is not part
  )
  fits = coherence.scorer(Audio(np.asarray(context), source.sample_rate))

  def changed(**deltas: float) -> float:
    notes = tuple(
      dataclasses.replace(
        note, **{name: getattr(note, name) + x for name, x in deltas.items()}
      )
      for note in part.notes
    )
    return fits(source.read(dataclasses.replace(part, notes=notes)))

  true, late = changed(), score.sixteenth
  assert true > changed(pitch=1) + 1
  assert true > changed(pitch=6) + 1
  assert true > changed(start=late, end=late) + 1
  (other,) = (x for x in source.reharmonized(number).parts if x.name == role)
  assert true > fits(source.read(other)) + 1
