"""vary, regenerate and extend: what is checked before anything is loaded."""

import dataclasses
import pathlib

import numpy as np
import pytest

from stemgen_jax import __main__, audio, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec.framing import Framing
from stemgen_jax.generation import context, stemgen

RATE = 8000


def sound(seconds=1.0, rate=RATE, channels=1) -> Audio:
  t = np.arange(round(seconds * rate))[:, None] / rate
  hum = (0.1 * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
  return Audio(np.repeat(hum, channels, axis=1), rate)


class Player:
  """Hands a take back as it is, or as long as the context."""

  name = "demo"

  def load(self, weights, *, codec):
    self.weights = weights
    return self

  def vary(self, take, **given):
    return take


@pytest.fixture
def studio(tmp_path, monkeypatch):
  """A take of ten channels, which flac cannot hold, and some contexts."""
  monkeypatch.chdir(tmp_path)
  player = Player()
  monkeypatch.setattr(stemgen, "StemGen", player)
  for name, channels in (("bass", 1), ("wide", 10)):
    stemgen.Take(
      audio=sound(channels=channels),
      codes=np.zeros((50, 4), np.int32),
      context=context.EncodedContext(
        codes=np.zeros((50, 4), np.int32),
        gain=1.0,
        inverse_gain=1.0,
        level_db=-20.0,
        from_nothing=False,
        loop=False,
        samples=RATE,
        sample_rate=RATE,
        channels=channels,
        framing=Framing(hop=RATE // 50),
        stretch=1.0,
      ),
      seed=3,
      settings=sampling.preset("fast"),
      stem="bass",
      weights="demo",
      codec_checksum="abc",
      elapsed=1.0,
    ).save(tmp_path / f"{name}.wav")
  audio.write("mix.wav", sound())
  audio.write("long.wav", sound(2.0))
  audio.write("rate.wav", sound(rate=16000))
  audio.write("stereo.wav", sound(channels=2))
  return player


def run(app: str, *flags: str) -> int:
  return __main__.main([app, *flags])


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["vary", "--context=long.wav"], "16000 samples at 8000 Hz in 1 channels"),
    (["vary", "--context=rate.wav"], "--context=rate.wav has 16000 samples at"),
    (["vary", "--context=stereo.wav"], "in 2 channels, but the take 8000"),
    (["extend", "--context=rate.wav"], "convert it to the take's format"),
    (["extend", "--context=stereo.wav"], "2 channels, but the take 8000 Hz"),
    (["extend", "--context=mix.wav"], "more than the take's 1.00 s"),
    (["extend", "--seconds=2"], "give the longer context, not seconds"),
    (["extend", "--context=", "--seconds=2"], "give the longer context"),
    (["vary", "--from_level=4"], "--from_level=4: expected 0 to 3"),
    (
      ["regenerate", "--regions=0-1", "--context=long.wav"],
      "expected the music that it was played to",
    ),
    (["vary", "--take=wide.wav", "--out=new.flac"], "cannot hold 10 channels"),
  ],
)
def test_what_does_not_belong_is_told_first(
  studio, monkeypatch, capsys, flags, message
):
  monkeypatch.delattr(Player, "load")  # it does not come to that
  app, *more = flags
  before = sorted(pathlib.Path().iterdir())
  assert run(app, "--take=bass.wav", "--out=new.wav", *more) == 1
  error = capsys.readouterr().err
  assert message in error
  assert len(error.splitlines()) == 1
  assert sorted(pathlib.Path().iterdir()) == before


def test_a_take_is_changed_by_the_weights_that_played_it(studio, capsys):
  take = stemgen.Take.load("bass.wav")
  pathlib.Path("mine.safetensors").touch()
  dataclasses.replace(take, weights="mine.safetensors").save("my.wav")
  for given, used in (
    ([], "mine.safetensors"),
    (["--weights=demo"], "demo"),
  ):
    flags = ["--take=my.wav", "--out=new.wav", "--overwrite", *given]
    assert run("vary", *flags) == 0
    assert studio.weights == used
  pathlib.Path("mine.safetensors").unlink()
  assert run("vary", "--take=my.wav", "--out=new.wav", "--overwrite") == 1
  assert "my.wav was played by mine.safetensors" in capsys.readouterr().err


def test_a_changed_take_is_mixed_with_its_context(studio):
  flags = ["--take=bass.wav", "--context=mix.wav", "--mix=both.wav"]
  assert run("vary", *flags, "--out=new.wav") == 0
  both = audio.read("both.wav").samples
  np.testing.assert_allclose(both, 2 * sound().samples, atol=1e-5)
