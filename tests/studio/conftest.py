"""A studio with random codes in place of a model, and clients of it."""

import threading

import numpy as np
import pytest
from pcm import PcmCodec
from pcm_model import music, params, pcm_config, tiny
from serving import PATIENCE, serving

from stemgen_jax import StemGen, audio, sampling
from stemgen_jax.session import Session
from stemgen_jax.session import takes as takes_lib

__all__ = ["params", "tiny"]


class Steps:
  """Steps of the sampling, which a test may hold back.

  Attributes:
    taken: number of steps so far.
  """

  def __init__(self):
    self.taken, self._free = 0, threading.Event()
    self._more = threading.Semaphore(0)
    self._free.set()

  def hold(self):
    """Let no step pass, except by `release`."""
    self._free.clear()

  def release(self, count=1):
    self._more.release(count)

  def free(self):
    """Let all steps pass."""
    self._free.set()
    self._more.release(1000)

  def take(self):
    if not self._free.is_set():
      assert self._more.acquire(timeout=PATIENCE)
    self.taken += 1


@pytest.fixture
def steps(monkeypatch):
  """Sample random codes that depend on seed and window, step by step."""
  steps = Steps()

  def decode(config, params, context, conditions, seeds, settings, **given):
    if not given.get("compile_only"):
      for level in range(config.levels):
        for _ in range(settings.steps_at(level)):
          steps.take()
          if given.get("progress"):
            given["progress"](len(seeds))
    draws = [
      np.random.default_rng((seed, given["frame_offset"])).integers(
        100, 150, context.shape[1:]
      )
      for seed in seeds
    ]
    return np.where(given["known_mask"], given["known"], np.stack(draws))

  monkeypatch.setattr(sampling, "decode_codes", decode)
  monkeypatch.setattr(
    takes_lib, "fit_to", lambda context: lambda take: float(take.seed % 2)
  )
  yield steps
  steps.free()


@pytest.fixture
def model(steps):
  del steps
  return StemGen(pcm_config(), {}, PcmCodec(), {})


@pytest.fixture
def folder(tmp_path):
  return tmp_path / "song"


@pytest.fixture
def client(folder, model):
  """A client of a server whose song is not started."""
  with serving(folder, model) as client:
    yield client


@pytest.fixture
def mix(tmp_path):
  """A file of music, 0.5 s."""
  path = tmp_path / "mix.wav"
  audio.write(path, music())
  return path


@pytest.fixture
def started(client):
  """A client whose song has one layer of music, 0.5 s."""
  client.studio.start(
    lambda folder: Session.create(folder, music(), name="mix")
  )
  return client


@pytest.fixture
def page(first_tab, client):
  """The page of the studio, which must not report an error in its console."""
  first_tab.errors.clear()
  first_tab.resize(1440, 900)
  first_tab.go(f"{client.url}/")
  first_tab.wait("document.querySelector('#start h1')")
  yield first_tab
  errors = list(first_tab.errors)
  first_tab.go("about:blank")
  assert errors == []
