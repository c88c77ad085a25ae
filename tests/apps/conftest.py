"""Fixtures of the commands."""

import numpy as np
import pytest

from stemgen_jax import audio, progress
from stemgen_jax.audio import Audio

RATE = 22050


@pytest.fixture(autouse=True)
def no_lines_of_progress(monkeypatch):
  """Make what a command prints independent of the speed of the machine."""
  monkeypatch.setattr(progress, "LOG_SECONDS", 600.0)


@pytest.fixture
def context(tmp_path, monkeypatch):
  noise = np.random.default_rng(0).standard_normal((RATE, 2)) * 0.1
  context = Audio(noise.clip(-0.5, 0.5).astype(np.float32), RATE)
  audio.write(tmp_path / "mix.wav", context, bits="float")
  monkeypatch.chdir(tmp_path)
  return context
