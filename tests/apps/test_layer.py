"""Tests of the layer command, with a stand-in for the model."""

import os
import re

import numpy as np
import pytest
import soundfile
from fake_stemgen import FakeStemGen

from stemgen_jax import __main__, audio, paths
from stemgen_jax.generation import stemgen
from stemgen_jax.session import Session


@pytest.fixture(scope="module")
def beat(tmp_path_factory):
  """The first second of the drum loop."""
  loop = audio.read(paths.LOOPS / "drums.flac")
  path = tmp_path_factory.mktemp("beat") / "Beat 1.wav"
  soundfile.write(path, loop.samples[: loop.sample_rate], loop.sample_rate)
  return path


@pytest.fixture
def fake(monkeypatch):
  fake = FakeStemGen()
  monkeypatch.setattr(stemgen, "StemGen", fake)
  return fake


@pytest.fixture
def run(beat, tmp_path, monkeypatch, capsys):
  """Run the command; return what it printed, or its one line of error."""
  monkeypatch.chdir(tmp_path)

  def run(*arguments, expect=0):
    code = __main__.main(["layer", "--session=song", *arguments])
    out, err = capsys.readouterr()
    assert code == expect, err
    assert len(err.splitlines()) <= (1 if expect else 0)
    return err if expect else out

  return run


def test_song_is_built_and_exported(run, beat, fake):
  out = run(
    f"--context={beat}",
    "--add=Bass Guitar",
    "--takes=2",
    "--seed=5",
    "--settings.top_p=0.7",
  )
  assert "take 2: bass, seed 5, 2.0 s" in out
  assert re.search(r"\nnext: .* layer song --keep=[23]\n$", out)
  assert [request.stem for request in fake.asked[1:]] == ["bass"]
  out = run("--keep=3")
  assert "kept  bass, seed 6" in out
  assert out.endswith(" layer song --add=piano\n")
  out = run("--add=drums", "--keep_best")
  assert "kept  drums, seed 0" in out
  assert out.endswith(" layer song --add=piano\n")
  out = run("--layer=bass", "--gain_db=-3")
  assert re.search(r"bass +3  kept   bass, seed 6 .*-3\.0 dB", out)
  assert "next: " not in out
  out = run("--vary=3", "--share=20%")
  assert "take 5: bass, seed 7" in out
  assert out.endswith(" layer song --keep=5\n")
  assert fake.asked[-1].edit.share == 0.2
  run("--regenerate=3", "--regions=0:00.2-0.4,0.5-0.6", "--steps=7")
  assert fake.asked[-1].edit.regions == [(0.2, 0.4), (0.5, 0.6)]
  settings = fake.asked[-1].settings
  assert (settings.steps, settings.top_p) == ((7,), 0.7)
  out = run("--undo", "--export=files", "--bpm=124")
  assert "wrote files/02-bass.wav" in out.replace("\\", "/")
  mix = audio.read("files/mix.wav").samples
  assert mix.shape == audio.read(beat).samples.shape
  assert out.endswith("wrote files/song.rpp\n".replace("/", os.sep))
  session = Session.open("song")
  np.testing.assert_allclose(mix, session.mix()[0].samples, atol=1e-6)
  assert len(session.song.layer("bass").clips) == 3


def test_stale_take_is_refreshed_next(run, beat, fake):
  run(f"--context={beat}", "--add=bass", "--keep_best")
  out = run("--add=drums", "--export=files")
  assert out.endswith("not exported: drums (no kept take)\n")
  run("--layer=beat-1", "--gain_db=-3")
  out = run("--keep=3")
  assert "stale: --refresh=bass" in out
  assert out.endswith(" layer song --refresh=bass\n")
  error = run("--refresh=bass", "--preset=fast", expect=1)
  assert "--preset: expected with --add, --vary, --regenerate or" in error
  assert "--seed: expected" in run("--refresh=bass", "--seed=2", expect=1)
  out = run("--refresh=bass")
  assert out.endswith(" layer song --refresh=drums\n")
  assert "bass is not stale" in run("--refresh=bass", expect=1)


def test_plan_is_replayed(run, fake):
  out = run("--plan=chords")
  seeds = [list(request.seeds) for request in fake.asked[1:]]
  assert seeds == [[3, 4, 5], [3, 4, 5]]
  assert out.count("kept") == 1 + 3  # the header, and three layers
  assert re.search(r"\nnext: .* layer song --add=\w+\n$", out)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ([], "song: no session here; start one with --context=FILE"),
    (["--context=no.wav"], "no such file: no.wav"),
    (["--context=BEAT", "--keep=9"], "no take 9: expected 1"),
    (["--context=BEAT", "--takes=2"], "--takes: expected with --add"),
    (["--context=BEAT", "--add=bass", "--takes=0"], "--takes=0: expected 1 to"),
    (["--context=BEAT", "--add=kazoo"], "unknown instrument category 'kazoo'"),
    (
      ["--context=BEAT", "--add=bass", "--layer=beat-1"],
      "layer 'beat-1' is for your own audio, not bass",
    ),
    (["--context=BEAT", "--mute"], "--mute: expected with --layer"),
    (["--context=BEAT", "--regenerate=1"], "expected with --regions"),
    (["--context=BEAT", "--plan=drums"], "expected without --add"),
    (["--plan=techno"], "no such plan; expected a YAML file or one of chords"),
    (
      ["--context=BEAT", "--add=bass", "--weights=x.safetensors"],
      "no such file",
    ),
  ],
)
def test_errors_are_one_line(run, beat, arguments, message):
  given = [argument.replace("BEAT", str(beat)) for argument in arguments]
  assert message in run(*given, expect=1)


def test_session_and_music_need_no_flags(beat, fake, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert __main__.main(["layer", "my song", str(beat), "--add=drums"]) == 0
  assert __main__.main(["layer", "--add=pad", "--keep-best", "my song"]) == 0
  layers = Session.open("my song").song.layers
  assert [x.name for x in layers] == ["beat-1", "drums", "synth_pad"]


def test_session_that_exists_is_not_started_again(run, beat):
  run(f"--context={beat}")
  error = run(f"--context={beat}", expect=1)
  assert "song has a session already; --add_audio=FILE adds" in error
