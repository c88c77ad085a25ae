"""Tests of the uses of a context's tempo and key in commands."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest
from fake_stemgen import FakeStemGen

from stemgen_jax import __main__, audio, paths
from stemgen_jax.audio import Audio, key, tempo
from stemgen_jax.cli import music
from stemgen_jax.generation import stemgen

ABOUT = paths.MODELS["demo"].with_suffix(".json")
DEMO = json.loads(ABOUT.read_text())["metadata"]
NO_BEATS = np.zeros(0)


@pytest.fixture
def fake(monkeypatch, tmp_path):
  fake = FakeStemGen()
  monkeypatch.setattr(stemgen, "StemGen", fake)
  monkeypatch.chdir(tmp_path)
  return fake


@pytest.mark.parametrize(
  ("bpm", "name", "words"),
  [
    (120.0, "D minor", []),
    (60.0, "F major", []),
    (90.0, "A major", ["not trained on 90 bpm", "112 to 132 bpm"]),
    (120.0, "Eb major", ["not trained on Eb major", "C, D, F, A in major and"]),
  ],
)
def test_music_unlike_that_of_the_training_gives_a_warning(bpm, name, words):
  found = tempo.Tempo(bpm, 0.9, NO_BEATS)
  warnings = " ".join(music.outside(found, key.Key(name, 0.9), DEMO))
  assert bool(words) == bool(warnings)
  for word in words:
    assert word in warnings
  # Unclear ones are not compared, nor are other training sets.
  unclear = tempo.Tempo(bpm, 0.4, NO_BEATS), key.Key(name, 0.4)
  assert music.outside(*unclear, DEMO) == []
  for metadata in ({}, {"data": None}, {"data": {"config": {"source": "x"}}}):
    assert music.outside(found, key.Key(name, 0.9), metadata) == []


def test_bars_of_a_loop():
  assert music.bars(8.0, 120.0) == "loop: 16 beats, 4 bars of 4/4"
  assert music.bars(7.02, 120.0) == "loop: 14 beats, 3.5 bars of 4/4"
  odd = music.bars(7.15, 120.0)
  assert "14.3 beats" in odd
  assert "6.000 s for 3 or 8.000 s for 4 bars" in odd


def test_generate_prints_tempo_and_key_before_loading(fake, capsys):
  drums = paths.LOOPS / "drums.flac"
  __main__.main(["generate", f"--context={drums}", "--loop", "--out=a.wav"])
  out = capsys.readouterr().out
  assert re.search(r"context: tempo (119\.9|120\.\d) bpm \(confidence", out)
  assert "loop: 16 beats, 4 bars of 4/4" in out
  assert out.index("tempo") < out.index("loaded demo")


def test_bars_without_a_tempo_use_the_detected_one(fake, capsys):
  drums = audio.read(paths.LOOPS / "drums.flac")
  __main__.main(["generate", "--seconds=8", "--dtype=float32", "--out=a.wav"])
  take = stemgen.Take.load("a.wav")
  mono = audio.resample(drums.samples[:, :1], drums.sample_rate, 32000)
  audio.write("a.wav", Audio(mono, 32000), overwrite=True)
  edits = []

  def run(request):
    edits.append(request.edit)
    yield dataclasses.replace(request.edit.take, seed=request.seeds[0])

  fake.run = run
  bars = ["regenerate", "--take=a.wav", "--bars=2", "--out=b.wav"]
  assert __main__.main(bars) == 0
  printed = capsys.readouterr().out
  assert re.search(r"a\.wav: tempo (119\.9|120\.\d) bpm", printed)
  [region] = edits[0].regions
  assert region == pytest.approx((2.0, 4.0), abs=0.02)
  noise = np.random.default_rng(0).normal(0, 0.1, take.audio.samples.shape)
  audio.write("a.wav", Audio(noise.astype("f4"), 32000), overwrite=True)
  pathlib.Path("b.wav").unlink()
  assert __main__.main([*bars, "--overwrite"]) == 1
  assert (
    "a.wav: its tempo is unclear; expected --bpm" in capsys.readouterr().err
  )
