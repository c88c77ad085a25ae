"""Tests of weights without instruments: every command names stems by role."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import soundfile
from pcm_model import sampler

from stemgen_jax import __main__
from stemgen_jax.generation import stemgen as stemgen_lib
from stemgen_jax.generation.take import Take
from stemgen_jax.live import clock
from stemgen_jax.live.clock import SimulatedWorker
from stemgen_jax.session import Session

__all__ = ["sampler"]
CONDITIONS = ("genre", "role")
RATE = 16_000
# Twice the level that the categories would give.
METADATA = {
  "loudness": {"reference_db": -18.0, "relative_db": {"bass": 0.0}},
  "roles": {"relative_db": {"melodic": 6.0206, "harmonic": 0.0}},
}


def worker(time, measured=False):
  del measured
  return SimulatedWorker(time, measured=False)


@pytest.fixture
def run(sampler, tmp_path, monkeypatch, capsys):
  """Run a command with such weights; return its output, or its one line."""
  monkeypatch.chdir(tmp_path)
  config = dataclasses.replace(sampler.config, conditions=CONDITIONS)
  weights = dataclasses.replace(
    sampler, config=config, metadata=METADATA, name="mine"
  )
  monkeypatch.setattr(stemgen_lib.StemGen, "load", lambda *_, **__: weights)
  monkeypatch.setattr(clock, "SimulatedWorker", worker)
  pathlib.Path("mine.safetensors").touch()
  stated = {"config": {"conditions": CONDITIONS}, "metadata": METADATA}
  pathlib.Path("mine.json").write_text(json.dumps(stated))
  noise = np.random.default_rng(0).normal(0, 0.1, (2 * RATE, 1))
  noise[RATE // 8 :: RATE // 2] = 0.9  # beats
  soundfile.write("mix.wav", noise, RATE)

  def run(*arguments, expect=0, weights="mine"):
    code = __main__.main([*arguments, f"--weights={weights}"])
    out, err = capsys.readouterr()
    assert code == expect, err
    assert not expect or len(err.splitlines()) == 1
    return err if expect else out

  return run


def test_takes_are_named_by_role_and_can_be_edited(run):
  out = run(
    *("generate", "mix.wav", "--genre=Electronic", "--role=melodic"),
    *("--mix=both.wav", "--seed=3"),
  )
  assert "melodic, seed 3: 2.0 s of music" in out
  assert "next, percussive for the mix: " in out
  assert "--role=percussive --genre=electronic" in out
  take = Take.load("mix-melodic.wav")
  assert (take.stem, take.role, take.genre) == ("", "melodic", "electronic")
  assert take.name == "melodic-seed3"
  assert take.context.inverse_gain * take.context.gain == pytest.approx(2.0)
  run("generate", "--seconds=0.5", "--genre=jazz")
  assert pathlib.Path("jazz.wav").is_file()
  run("vary", "mix-melodic.wav", "--out=varied.wav")
  run("regenerate", "mix-melodic.wav", "--regions=0.5-1", "--out=part.wav")
  longer = np.concatenate([soundfile.read("mix.wav")[0]] * 2)
  soundfile.write("long.wav", longer, RATE)
  run("extend", "mix-melodic.wav", "--context=long.wav", "--out=more.wav")
  for name in ("varied", "part", "more"):
    edited = Take.load(f"{name}.wav")
    assert (edited.stem, edited.role) == ("", "melodic")


@pytest.mark.parametrize("weights", ["mine", "a_run"])
def test_an_instrument_is_refused_with_the_command_to_use(run, weights):
  # Of exported weights, and of the folder of a run.
  run_folder = pathlib.Path("a_run/checkpoints")
  run_folder.mkdir(parents=True)
  config = {"model": {"conditions": CONDITIONS}}
  run_folder.with_name("config.json").write_text(json.dumps(config))
  arguments = ("generate", "mix.wav", "--stem=bass")
  assert (
    f"--stem=bass: the weights {weights} have no instruments, only genre, role,"
    f" context; expected as in stemgen-jax generate --weights={weights} "
    "--genre=electronic --role=melodic"
  ) in run(*arguments, expect=1, weights=weights)
  assert not list(pathlib.Path().glob("*bass*"))


def test_layers_of_a_session_are_roles(run):
  out = run("layer", "song", "mix.wav", "--add=melodic", "--genre=jazz")
  assert "take 2: melodic, seed 0" in out
  out = run("layer", "song", "--keep=2")
  out = run("layer", "song", "--add=bass", "--takes=2", "--keep_best")
  assert " --add=percussive --weights=mine" in out
  out = run("layer", "song", "--vary=2")
  assert "melodic, seed 1" in out
  song = Session.open("song").song
  assert [x.category for x in song.layers] == ["", "melodic", "bass"]
  error = run("layer", "song", "--add=piano", expect=1)
  assert "unknown role 'piano'" in error


def test_layers_of_a_performance_are_roles(run):
  arguments = ("live", "mix.wav", "--loop", "--bpm=120", "--repeats=4")
  out = run(*arguments, "--role=melodic,harmonic", "--out=song.wav")
  assert "wrote song.wav" in out
  assert soundfile.read("song.wav")[0].any()
  error = run(*arguments, "--stem=bass", "--out=b.wav", expect=1)
  assert "--stem=bass: the weights mine have no instruments" in error
  error = run(*arguments, "--role=melodic,melodic", "--out=b.wav", expect=1)
  assert "--role=melodic,melodic: expected roles, each once" in error
  pathlib.Path("script.txt").write_text("2 melodic stem=piano\n")
  error = run(
    *(*arguments, "--role=melodic", "--out=b.wav", "--script=script.txt"),
    expect=1,
  )
  assert "the weights have no stem; expected genre, role" in error
  pathlib.Path("script.txt").write_text("2 melodic role=bass\n")
  run(*arguments, "--role=melodic", "--out=b.wav", "--script=script.txt")
  out = run("live", "mix.wav", "--bpm=120", "--role=melodic", "--out=c.wav")
  assert "wrote c.wav" in out
