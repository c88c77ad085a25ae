import numpy as np

from stemgen_jax.data.sources import band
from stemgen_jax.evaluation import reference_annotations
from stemgen_jax.evaluation.metrics import downbeats

SECONDS, RATE = 12.0, 32000


def test_downbeats_of_a_song_are_those_of_its_score():
  style = band.Style(
    genres=("techno",), meters=("4/4",), tempo=(120, 130), swing=False
  )
  source = band.Band(seconds=SECONDS, style=style)
  score = source.score(7)
  mix = np.sum([band.render(part, SECONDS) for part in score.parts], axis=0)
  found = reference_annotations.estimate(mix[:, 0], RATE, bars=True).downbeats
  assert len(found) >= 4
  known = np.array(score.downbeats)
  errors = np.abs(found[:, None] - known).min(axis=1)
  assert (errors < 0.07).mean() >= 0.75


def test_silence_has_no_downbeats():
  assert not len(downbeats.downbeats(np.zeros(2 * RATE, np.float32), RATE))
