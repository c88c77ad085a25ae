"""Tests of the generate command with a stand-in for the model."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import sys

import numpy as np
import pytest
from fake_stemgen import FakeStemGen
from matplotlib import image

from stemgen_jax import (
  __main__,
  audio,
  coherence,
  disk,
  locks,
  paths,
  sampling,
)
from stemgen_jax.generation import compilation, stemgen
from stemgen_jax.generation.take import Take

RATE = 22050


@pytest.fixture
def fake(monkeypatch):
  fake = FakeStemGen()
  monkeypatch.setattr(stemgen, "StemGen", fake)
  return fake


def run(*arguments, expect=0):
  assert __main__.main(["generate", *arguments]) == expect


def files():
  return sorted(path.name for path in pathlib.Path().iterdir())


def test_one_take_writes_exactly_the_requested_files(context, fake, capsys):
  run(
    "--context=mix.wav",
    "--stem=Bass Guitar",
    "--out=my bass.wav",
    "--seed=3",
    "--mix=both.flac",
    "--picture=look.png",
    "--codec_device=cpu",
    "--dtype=bfloat16",
  )
  assert files() == [
    "both.flac",
    "look.png",
    "mix.wav",
    "my bass.codes.npz",
    "my bass.wav",
  ]
  stem, both = audio.read("my bass.wav"), audio.read("both.flac")
  for sound in (stem, both):
    assert sound.sample_rate == RATE
    assert sound.samples.shape == context.samples.shape
  np.testing.assert_allclose(
    both.samples, context.samples + stem.samples, atol=1e-6
  )
  assert image.imread("look.png").ndim == 3
  metadata = audio.read_metadata("my bass.wav")
  assert metadata["seed"] == 3
  assert metadata["stem"] == "bass"
  assert metadata["codec_device"] == "cpu"
  assert (metadata["dtype"], metadata["devices"]) == ("bfloat16", 1)
  assert metadata["settings"]["steps"] == [12, 6, 3, 3]
  out, err = capsys.readouterr()
  assert err == ""
  for word in ("seed 3", "my bass.wav", "both.flac", "look.png", "2.0 s"):
    assert word in out
  assert "bass, seed 3: 1.0 s of music in 2.0 s, plus 7.0 s to compile\n" in out
  assert "passes" not in out


def test_verbose_prints_the_seconds_that_the_metadata_states(
  context, fake, capsys
):
  run("--context=mix.wav", "--out=a.wav", "--takes=2", "--verbose")
  out = capsys.readouterr().out
  first, second = (
    line for line in out.splitlines() if line.startswith("  seconds: ")
  )
  for name, line in (("a-seed0.wav", first), ("a-seed1.wav", second)):
    cost = audio.read_metadata(name)["cost"]
    parts = ("import", "load", "compile", "encode", "generate", "decode")
    for part in parts:
      seconds = cost[f"seconds_to_{part}"]
      assert f"{part} {seconds:.2f}" in line
    assert (cost["seconds_to_import"] > 0) == (name == "a-seed0.wav")
    assert cost["seconds_to_compile"] == 7.0
    assert cost["seconds_to_generate"] == 2.0
    assert ", write 0." in line
    assert line.endswith(" since the start")
    assert (
      f"seed {name[6]}: 1.0 s of music in 2.0 s, plus 7.0 s to compile; "
      "real-time factor 2.00; 64 passes, 1 GFLOP\n"
    ) in out


def test_a_cold_run_reports_the_compilation(
  context, fake, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(compilation, "is_cold", lambda: True)
  run("--context=mix.wav", "--out=a.wav")
  out = capsys.readouterr().out
  assert "compiling the sampling program, once for these settings" in out


def test_takes_are_named_by_their_seeds(context, fake):
  run(
    "--context=mix.wav",
    "--out=bass.flac",
    "--seed=7",
    "--takes=3",
    "--mix=m.wav",
  )
  assert files() == [
    "bass-seed7.codes.npz",
    "bass-seed7.flac",
    "bass-seed8.codes.npz",
    "bass-seed8.flac",
    "bass-seed9.codes.npz",
    "bass-seed9.flac",
    "m-seed7.wav",
    "m-seed8.wav",
    "m-seed9.wav",
    "mix.wav",
  ]
  for seed in (7, 8, 9):
    assert audio.read_metadata(f"bass-seed{seed}.flac")["seed"] == seed


def test_one_existing_take_stops_all_of_them(context, fake, capsys):
  pathlib.Path("bass-seed2.wav").write_bytes(b"precious")
  run("--context=mix.wav", "--out=bass.wav", "--takes=3", expect=1)
  assert files() == ["bass-seed2.wav", "mix.wav"]
  assert fake.asked == []  # no model was loaded
  assert "bass-seed2.wav exists" in capsys.readouterr().err
  run("--context=mix.wav", "--out=bass.wav", "--takes=3", "--overwrite")
  assert audio.read("bass-seed2.wav").samples.any()


def test_the_best_takes_are_kept(context, fake, monkeypatch, capsys):
  scores = {100: 1.0, 101: 3.0, 102: -np.inf, 103: 2.0}  # by pitch in Hz

  def scorer(sound):
    np.testing.assert_allclose(sound.samples, context.samples, atol=1e-6)
    return lambda stem: scores[round(pitch_of(stem))]

  monkeypatch.setattr(coherence, "scorer", scorer)
  flags = ("--context=mix.wav", "--takes=4", "--dtype=float32")
  run(*flags, "--out=b.wav", "--best=2", "--verbose")
  assert files() == [
    "b-seed1.codes.npz",
    "b-seed1.wav",
    "b-seed3.codes.npz",
    "b-seed3.wav",
    "mix.wav",
  ]
  out = capsys.readouterr().out
  assert out.index("coherence 3.00, 1 of the best 2 of 4") < out.index(
    "coherence 2.00, 2 of the best 2 of 4"
  )
  assert audio.read_metadata("b-seed1.wav")["coherence"] == 3.0
  assert Take.load("b-seed3.wav").coherence == 2.0
  run(*flags, "--out=all.wav", "--best=4")
  out = capsys.readouterr().out
  assert (
    "seed 1: 1.0 s of music in 2.0 s, plus 7.0 s to compile; fits the music "
    in out
  )
  assert out.count("fits the music best of 4") == 1
  assert "coherence" not in out
  run(*flags, "--out=all.wav", "--best=4", "--verbose", "--overwrite")
  assert "coherence none, as the stem is silent" in capsys.readouterr().out
  assert Take.load("all-seed2.wav").coherence is None


def pitch_of(stem):
  spectrum = abs(np.fft.rfft(stem.samples[:, 0]))
  return spectrum.argmax() / stem.seconds


def test_the_default_name_is_next_to_the_music_and_new(context, fake):
  folder = pathlib.Path("my music")
  folder.mkdir()
  pathlib.Path("mix.wav").rename(folder / "a song.wav")
  names = {"a song.wav"}
  for flags, name in (
    (["--stem=drums"], "a song-drums"),
    (["--instrument=drums"], "a song-drums-2"),
    (["--instrument", "bass", "--overwrite"], "a song-bass"),
    (["--overwrite"], "a song-bass-2"),
  ):
    run("my music/a song.wav", *flags)
    names |= {f"{name}.wav", f"{name}.codes.npz"}
    assert {path.name for path in folder.iterdir()} == names
  assert audio.read_metadata(folder / "a song-drums-2.wav")["stem"] == "drums"
  # The codes of one of several takes exist.
  pathlib.Path("my music/a song-bass-seed1.codes.npz").write_bytes(b"precious")
  (folder / "a song-bass-2-seed0.wav").write_bytes(b"precious")
  run("my music/a song.wav", "--takes=2", "--no-keep-codes")
  names |= {"a song-bass-seed1.codes.npz", "a song-bass-2-seed0.wav"}
  names |= {"a song-bass-3-seed0.wav", "a song-bass-3-seed1.wav"}
  assert {path.name for path in folder.iterdir()} == names
  assert files() == ["my music"]


def test_the_default_name_without_music_or_its_folder(
  context, fake, monkeypatch, tmp_path
):
  loop = paths.LOOPS / "drums.flac"
  before = sorted(loop.parent.iterdir())
  run(str(loop), "--nokeep_codes")
  run("--seconds=0.5s", "--stem=synth pad", "--nokeep_codes")
  assert sorted(loop.parent.iterdir()) == before
  assert files() == ["drums-bass.wav", "mix.wav", "synth_pad.wav"]
  # Where not even root may write.
  there = tmp_path / "there"
  there.mkdir()
  monkeypatch.chdir(there)

  def refuse(folder):
    if pathlib.Path(folder) == tmp_path:
      raise PermissionError(f"cannot write to {folder}")
    return pathlib.Path(folder)

  monkeypatch.setattr(disk, "check_folder", refuse)
  run(str(tmp_path / "mix.wav"), "--mix=mix-bass.wav")
  assert files() == ["mix-bass-2.codes.npz", "mix-bass-2.wav", "mix-bass.wav"]


def test_a_default_name_that_another_process_writes_is_not_taken(
  context, fake, capsys
):
  with locks.only_writer("mix-bass.wav"):
    run("mix.wav")
    run("mix.wav", "--out=mix-bass.wav", expect=1)
  assert "is writing it" in capsys.readouterr().err
  assert files() == ["mix-bass-2.codes.npz", "mix-bass-2.wav", "mix.wav"]


def test_a_long_name_is_cut(context, fake):
  name = "\u591c" * 83  # 249 bytes
  pathlib.Path("mix.wav").rename(f"{name}.wav")
  run(f"{name}.wav")
  assert files() == [
    f"{name[:66]}.codes.npz",
    f"{name[:66]}.wav",
    f"{name}.wav",
  ]


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (("--takes=2", "--best=3"), "--best=3: expected at most --takes (2)"),
    (("--takes=2", "--best=0"), "--best=0: expected 1 or more"),
  ],
)
def test_a_wrong_number_of_best_takes(context, fake, capsys, flags, message):
  run("--context=mix.wav", "--out=a.wav", *flags, expect=1)
  assert message in capsys.readouterr().err
  run("--seconds=1", "--out=a.wav", "--takes=3", "--best=2", expect=1)
  assert "--best requires --context" in capsys.readouterr().err
  assert fake.asked == []


def test_from_nothing(context, fake):
  run("--seconds=0.5", "--stem=drums", "--out=d.wav", "--picture=d.png")
  assert audio.read("d.wav").seconds == 0.5
  request = fake.asked[-1]
  assert (request.stem, request.seconds) == ("drums", 0.5)


def test_prints_when_the_mix_is_lowered(context, fake, capsys):
  fake.level = 0.9
  run("--context=mix.wav", "--out=loud.wav", "--mix=both.wav")
  assert "both.wav (lowered by" in capsys.readouterr().out
  assert np.abs(audio.read("both.wav").samples).max() < 1


def test_warns_when_a_stem_is_lowered_in_its_file(context, fake, capsys):
  fake.level = 1.5
  run("--context=mix.wav", "--out=loud.wav", "--mix=both.wav")
  out, err = capsys.readouterr()
  assert "  wrote loud.wav\n" in out  # the warning states it
  assert err.startswith("warning: loud.wav: the stem was lowered by")
  assert "lower the context as much where you mix it yourself" in err
  assert err.count("lower the context") == 1


def test_warns_of_an_untrained_instrument_before_sampling(
  context, fake, capsys, monkeypatch
):
  printed = []

  def takes(*_, **__):
    printed.append(capsys.readouterr().err)
    raise ValueError("stop")

  monkeypatch.setattr(fake, "takes", takes)
  run("--context=mix.wav", "--stem=sax", "--out=a.wav", expect=1)
  assert printed == [
    "warning: these weights were not trained on 'reed': expect poor results; "
    "they were trained on bass, drums\n"
  ]


def test_prints_warnings_of_a_take_once(context, fake, capsys):
  fake.notes = ("The stem is 40 dB quieter than the context.",)
  run("--context=mix.wav", "--out=quiet.wav")
  out, err = capsys.readouterr()
  assert err == "warning: The stem is 40 dB quieter than the context.\n"
  assert "quieter" not in out


def test_settings_and_weights(context, fake):
  for name in ("mine.safetensors", "codec.safetensors"):
    pathlib.Path(name).touch()
  run(
    "--context=mix.wav",
    "--out=a.wav",
    "--weights=mine.safetensors",
    "--codec=codec.safetensors",
    "--preset=paper",
    "--bits=16",
  )
  weights, request = fake.asked
  assert weights == ("mine.safetensors", "codec.safetensors")
  assert request.settings == sampling.preset("paper")
  run("--context=mix.wav", "--out=b.wav", "--steps=4,2,2,1")
  assert fake.asked[-1].settings.steps == (4, 2, 2, 1)
  assert fake.asked[-2] == ("demo", None)


def test_genre_and_role_have_guidance_scales_of_their_own(context, fake):
  pathlib.Path("mine.safetensors").touch()
  conditions = {"config": {"conditions": ["category", "genre", "role"]}}
  pathlib.Path("mine.json").write_text(json.dumps(conditions))
  run(
    "--context=mix.wav",
    "--out=a.wav",
    "--weights=mine.safetensors",
    "--stem=piano",
    "--genre=Bossa Nova",
    "--role=melodic",
    "--settings.guidance.genre=2,1",
    "--settings.guidance.role=4",
  )
  request = fake.asked[-1]
  assert (request.genre, request.role) == ("bossa_nova", "melodic")
  assert request.settings.guidance == {
    **sampling.preset("default").guidance,
    "genre": (2.0, 1.0),
    "role": (4.0,),
  }


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--genre=polka", "unknown genre 'polka'"),
    ("--role=loud", "unknown role 'loud'"),
    ("--settings.guidance.role=2", "generate with --role"),
  ],
)
def test_invalid_genre_or_role_is_an_error(
  context, fake, capsys, flag, message
):
  run("--context=mix.wav", "--out=a.wav", flag, expect=1)
  assert message in capsys.readouterr().err
  assert files() == ["mix.wav"]


def test_every_setting_is_a_flag(context, fake):
  run(
    "--context=mix.wav",
    "--out=a.wav",
    "--preset=fast",
    "--settings.rank=low_discrepancy",
    "--settings.guidance.context=3,1",
    "--settings.guidance_interval=0,0.5",
    "--settings.temperature=0.9",
    "--settings.top_k=0,64",
    "--exact",
  )
  request = fake.asked[-1]
  assert request.exact
  assert request.settings == dataclasses.replace(
    sampling.preset("fast"),
    rank="low_discrepancy",
    guidance={"context": (3.0, 1.0), "category": 1.0},
    guidance_interval=(0.0, 0.5),
    temperature=0.9,
    top_k=(0, 64),
  )


def test_prints_the_category_of_another_name(context, fake, capsys):
  run("--context=mix.wav", "--stem=sax", "--out=a.wav")
  assert "'sax' is category reed" in capsys.readouterr().out
  run("--context=mix.wav", "--stem=Synth Lead", "--out=b.wav")
  assert "is category" not in capsys.readouterr().out


def test_codes_are_written_unless_switched_off(context, fake, capsys):
  run("--context=mix.wav", "--out=a.wav", "--nokeep_codes", "--loop")
  assert files() == ["a.wav", "mix.wav"]
  assert fake.asked[-1].loop
  pathlib.Path("b.codes.npz").write_bytes(b"precious")
  run("--context=mix.wav", "--out=b.wav", expect=1)
  assert "b.codes.npz exists" in capsys.readouterr().err
  assert not pathlib.Path("b.wav").exists()


@pytest.mark.parametrize("name", ["drums", "chords"])
def test_loops_of_the_package_are_contexts(context, fake, name):
  loop = paths.LOOPS / f"{name}.flac"
  run(f"--context={loop}", "--stem=bass", "--out=bass.wav", "--mix=both.wav")
  both = audio.read("both.wav")
  assert (both.sample_rate, both.channels, both.seconds) == (44100, 2, 8.0)
  # It repeats without a click: no jump from its end to its start.
  samples = audio.read(loop).samples
  assert np.abs(samples[0] - samples[-1]).max() < 0.05


def test_the_last_line_is_a_command_that_works(context, fake, capsys):
  pathlib.Path("mix.wav").rename("it's my mix.wav")
  run("it's my mix.wav", "--codec_device=cpu")
  for label, words, new in (
    (
      "a variation",
      ["vary", "it's my mix-bass.wav", "--share=30%", "--codec_device=cpu"],
      "it's my mix-bass-2.wav",
    ),
    (
      "a variation",
      ["vary", "it's my mix-bass-2.wav", "--share=30%", "--codec_device=cpu"],
      "it's my mix-bass-3.wav",
    ),
  ):
    assert follow(capsys, label) == words
    assert pathlib.Path(new).exists()
  run("it's my mix.wav", "--stem=drums", "--mix=a.wav", "--takes=2")
  assert follow(capsys, "piano for the mix") == [
    *("generate", "a-seed0.wav", "--stem=piano")
  ]
  assert audio.read_metadata("a-seed0-piano.wav")["stem"] == "piano"
  run("it's my mix.wav", "--instrument=drums", "--nokeep_codes", "--steps=4,2")
  assert follow(capsys, "another take") == [
    "generate",
    "--context=it's my mix.wav",
    "--stem=drums",
    "--nokeep_codes",
    "--steps=4,2",
    "--seed=1",
  ]
  assert pathlib.Path("it's my mix-drums-2.wav").exists()
  pathlib.Path("it's my mix.wav").rename("-mix.wav")
  run("--context=-mix.wav", "--stem=drums", "--mix=-both.wav")
  words = follow(capsys, "piano for the mix")
  assert words == ["generate", "./-both.wav", "--stem=piano"]
  run("--context=-mix.wav")
  assert follow(capsys, "a variation") == [
    *("vary", "./-mix-bass.wav", "--share=30%")
  ]


def follow(capsys, label):
  """Run the command of the last line as a shell splits it; return its words."""
  *_, line = capsys.readouterr().out.splitlines()
  start, _, command = line.partition(": ")
  assert start == f"next, {label}"
  program, *words = shlex.split(command)
  if program != "stemgen-jax":
    assert (program, *words[:2]) == (sys.executable, "-m", "stemgen_jax")
    words = words[2:]
  assert __main__.main(words) == 0
  return words


def test_a_reader_that_ends_does_not_stop_the_work(
  context, fake, monkeypatch, capsys
):
  reader, writer = os.pipe()
  os.close(reader)
  with monkeypatch.context() as patch:
    stream = os.fdopen(writer, "w", buffering=1)
    patch.setattr(sys, "stdout", stream)
    run("mix.wav", "--stem=sax", "--takes=2", "--nokeep_codes")
    with contextlib.suppress(BrokenPipeError):
      stream.close()
  assert files() == ["mix-reed-seed0.wav", "mix-reed-seed1.wav", "mix.wav"]
  assert "Broken" not in capsys.readouterr().err
