"""Tests of the sessions of the page."""

import numpy as np
import pytest
import soundfile
from pcm import RATE
from pcm_model import FAST, music, params, sampler

from stemgen_jax import audio, paths
from stemgen_jax.evaluation.reporting import sessions
from stemgen_jax.session import takes as takes_lib

__all__ = ["params", "sampler"]


@pytest.fixture
def loops(tmp_path, monkeypatch):
  for name in ("drums", "chords"):
    path = tmp_path / f"{name}.flac"
    soundfile.write(path, music(seed=len(name)).samples, RATE)
  monkeypatch.setattr(paths, "LOOPS", tmp_path)
  # Not the network: random codes fit by chance.
  monkeypatch.setattr(
    takes_lib, "fit_to", lambda context: lambda take: float(take.seed % 2)
  )


@pytest.mark.filterwarnings("ignore:the context has a DC offset")
def test_the_next_step_starts_from_the_best_fit(sampler, loops, tmp_path):
  sampler.metadata["categories"] = ["bass", "drums", "synth_pad"]

  def replay():
    return sessions.sessions(
      sampler, FAST, variations=2, seed=4, folder=tmp_path / "out"
    )

  found = replay()
  assert list(found) == ["Starting from drums", "Starting from chords"]
  first, second = found["Starting from drums"]
  assert (first.instrument, second.instrument) == ("bass", "synth_pad")
  assert [take.seed for take in first.variations] == [4, 5]
  assert [take.chosen for take in first.variations] == [False, True]
  mix, _ = audio.mix(first.context, first.variations[1].stem)
  np.testing.assert_allclose(second.context.samples, mix.samples, atol=1e-6)
  # A second call finds the takes of the first.
  times = [path.stat().st_mtime_ns for path in tmp_path.rglob("*.codes.npz")]
  assert replay().keys() == found.keys()
  assert times == [
    path.stat().st_mtime_ns for path in tmp_path.rglob("*.codes.npz")
  ]


def test_no_variations_give_no_sessions(sampler, tmp_path):
  assert not sessions.sessions(
    sampler, FAST, variations=0, seed=0, folder=tmp_path / "out"
  )
  assert not (tmp_path / "out").exists()
