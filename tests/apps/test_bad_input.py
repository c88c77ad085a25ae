"""What a user can get wrong, each time in one line, at once, nothing lost."""

import dataclasses
import json
import os
import pathlib
import re
import select
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from stemgen_jax import __version__
from stemgen_jax.sampling import Settings

PRECIOUS = b"precious"
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
  """A folder of good and bad files, and a jax and torch that refuse."""
  folder = tmp_path_factory.mktemp("studio")
  noise = np.random.default_rng(0).standard_normal((44100, 2)) * 0.1
  soundfile.write(folder / "mix.wav", noise, 44100)
  soundfile.write(folder / "whole.flac", noise, 44100)
  whole = (folder / "whole.flac").read_bytes()
  (folder / "truncated.flac").write_bytes(whole[: len(whole) // 2])
  soundfile.write(folder / "whole.mp3", noise, 44100)
  whole = (folder / "whole.mp3").read_bytes()
  (folder / "truncated.mp3").write_bytes(whole[: len(whole) // 2])
  (folder / "text.mp3").write_text("These are words, not sounds. " * 99)
  soundfile.write(folder / "huge.wav", noise * 0 + 1e20, 44100, "FLOAT")
  (folder / "empty.wav").touch()
  (folder / "text.wav").write_text("These are words, not sounds. " * 99)
  soundfile.write(folder / "none.wav", noise[:0], 44100)
  soundfile.write(folder / "short.wav", noise[:800], 44100)
  soundfile.write(folder / "wide.wav", np.zeros((44100, 10)), 44100)
  for name, value in (("nan", np.nan), ("inf", np.inf)):
    broken = noise.copy()
    broken[22050, 1] = value
    soundfile.write(folder / f"{name}.wav", broken, 44100, "FLOAT")
  (folder / "there.wav").write_bytes(PRECIOUS)
  (folder / "folder.wav").mkdir()
  shadows = folder / "shadows"
  for module in ("jax", "torch"):
    (shadows / module).mkdir(parents=True)
    (shadows / module / "__init__.py").write_text(
      f"raise RuntimeError('{module} was imported')"
    )
  return folder


def python(studio, *arguments):
  """A process in which importing jax or torch raises RuntimeError."""
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=studio,
    env=_environment(studio),
    capture_output=True,
    text=True,
    timeout=60,
  )


def _environment(studio):
  return {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": f"{studio / 'shadows'}{os.pathsep}{ROOT}",
  }


# Reads command lines as JSON, one a line; answers each with its exit code and
# what it printed.
SERVER = """
import contextlib, io, json, sys, traceback
from stemgen_jax.__main__ import main

answers = sys.stdout
for line in sys.stdin:
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      code = main(json.loads(line))
    except BaseException:
      traceback.print_exc()
      code = 1
  print(json.dumps([code, out.getvalue(), err.getvalue()]), file=answers)
  answers.flush()
"""


@pytest.fixture(scope="module")
def run(studio):
  """Run commands through the dispatcher of one process without jax and torch.

  Most of the time of a command that fails at once is the start of Python.
  """
  with subprocess.Popen(
    [sys.executable, "-c", SERVER],
    cwd=studio,
    env=_environment(studio),
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as server:
    questions, answers = server.stdin, server.stdout
    assert questions is not None
    assert answers is not None

    def run(*arguments):
      print(json.dumps(arguments), file=questions, flush=True)
      assert select.select([answers], [], [], 60)[0], f"no answer: {arguments}"
      code, out, err = json.loads(answers.readline())
      return subprocess.CompletedProcess(arguments, code, out, err)

    yield run
    questions.close()
    assert server.wait(60) == 0


def contents(folder: pathlib.Path):
  return {
    path: path.read_bytes() if path.is_file() else None
    for path in folder.rglob("*")
    if "__pycache__" not in path.parts
  }


GENERATE = ("generate", "--context=mix.wav", "--stem=bass", "--out=new.wav")


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--context=mx.wav"], ["no such file: mx.wav", "did you mean mix.wav"]),
    (["--context=lost/mix.wav"], ["no such file", "no folder lost"]),
    (["--context=folder.wav"], ["folder.wav is a folder"]),
    (["--context=empty.wav"], ["empty.wav is empty", "expected wav, flac"]),
    (["--context=text.wav"], ["text.wav is not audio", "expected wav, flac"]),
    (["--context=text.mp3"], ["text.mp3 is not audio", "expected wav, flac"]),
    (["--context=truncated.mp3"], ["truncated.mp3", "cut off", "of 1.0 s"]),
    (["--context=huge.wav"], ["huge.wav", "up to 1e+20", "expected -1 to 1"]),
    (["--context=truncated.flac"], ["truncated.flac", "cut off", "of 1.0 s"]),
    (["--context=none.wav"], ["none.wav holds no samples"]),
    (["--context=short.wav"], ["0.0181 s", "expected 0.2 to"]),
    (["--context=nan.wav"], ["nan.wav", "NaN", "0.500 s"]),
    (["--context=inf.wav"], ["inf.wav", "infinite", "0.500 s"]),
    (["--stem=zzz"], ["category 'zzz'. Known: piano"]),
    (["--stem=basss_gitar"], ["'basss_gitar'", "did you mean bass"]),
    (["--out=new.mp3"], ["cannot write .mp3", ".wav or .flac"]),
    (["--out=new"], ["without suffix", ".wav or .flac"]),
    (["--out="], ["--out is missing", "--out=stem.wav"]),
    (["--out=folder.wav"], ["folder.wav is a folder"]),
    (["--out=gs://bucket/new.wav"], ["--out=gs://", "mount a bucket"]),
    (["--out=there.wav/new.wav"], ["there.wav is a file, not a folder"]),
    pytest.param(
      # Refuses even root, whom permission bits do not stop.
      ["--out=/proc/new.wav"],
      ["cannot write to /proc"],
      marks=pytest.mark.skipif(not os.path.exists("/proc"), reason="Linux"),
    ),
    (["--out=there.wav"], ["there.wav exists", "--overwrite"]),
    (["--out=mix.wav", "--overwrite"], ["mix.wav is named twice"]),
    (["--out=new.flac", "--bits=float"], ["flac has no floating-point"]),
    (["--mix=there.wav"], ["there.wav exists", "--overwrite"]),
    (["--mix=new.wav"], ["new.wav is named twice"]),
    (["--picture=new.jpg"], ["cannot write .jpg; expected .png"]),
    (["--picture=new.npz"], ["cannot write .npz; expected .png"]),
    (["--context="], ["give either --context=FILE"]),
    (["--genre=techno"], ["--genre=techno", "demo have no condition genre"]),
    (["--takes=0"], ["--takes=0", "expected 1 to"]),
    (["--takes=-3"], ["--takes=-3", "expected 1 to"]),
    (["--takes=two"], ["--takes=two"]),
    (["--seed=-1"], ["--seed=-1", "expected 0 to"]),
    (["--weights=lost.safetensors"], ["--weights=lost", "no such file"]),
    (["--context=wide.wav", "--out=new.flac"], ["new.flac", "10 channels"]),
    (["--steps=16,0"], ["--steps=16,0", "at least 1"]),
    (["--preset=best"], ["--preset=best: value", "default|fast|paper>\n"]),
    (["--preset=papr"], ["--preset=papr", "fast|paper>, did you mean paper?"]),
    (
      ["--settings.rank=best"],
      ["--settings.rank=best", "gumbel", "low_discrepancy"],
    ),
    (["--settings.rank=gumbl"], ["did you mean gumbel?"]),
    (["--settings.top_p=0.5,2"], ["--settings.top_p=0.5,2", "at most 1"]),
    (["--settings.temperature=hot"], ["--settings.temperature=hot"]),
    (["--settings.guidance_ramp=1"], ["guidance_ramp=1", "two numbers"]),
    (
      ["--settings.ranks=paper"],
      ["settings.rank?", "guidance.role, ", "top_p;"],
    ),
    (["--bits=12"], ["--bits=12", "16|24|float"]),
    (["--seconds=8"], ["either --context", "or --seconds"]),
    (["--codec_device=gpu"], ["--codec_device=gpu", "cuda:N"]),
    (["--contxt=mix.wav"], ["unknown flag --contxt", "--context?"]),
    (["mix.wav"], ["'mix.wav' belongs to no flag", "--help"]),
    (["--takes"], ["--takes"]),
  ],
  ids=lambda value: " ".join(value) if value[0][:1] == "-" else None,
)
def test_one_line_at_once_and_nothing_lost(studio, run, arguments, words):
  before = contents(studio)
  done = run(*GENERATE, *arguments)
  assert done.returncode == 1, done.stderr
  assert len(done.stderr.splitlines()) == 1, done.stderr
  assert done.stderr.startswith("stemgen-jax: error: ")
  for word in words:
    assert word in done.stderr
  assert done.stdout == ""
  assert contents(studio) == before


def test_a_mistake_is_the_same_as_a_process_of_its_own(studio, run):
  mistake = (*GENERATE, "--context=mx.wav")
  done, expected = python(studio, "-m", "stemgen_jax", *mistake), run(*mistake)
  assert done.returncode == expected.returncode == 1
  assert done.stderr == expected.stderr
  assert done.stdout == expected.stdout == ""


def test_the_checks_above_end_before_any_model_loads(studio):
  # The same command without a mistake does reach jax, which is refused.
  done = python(studio, "-m", "stemgen_jax", *GENERATE)
  assert "was imported" in done.stderr
  assert not (studio / "new.wav").exists()


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["genrate"], ["unknown command 'genrate'", "did you mean generate?"]),
    (
      ["--context=mix.wav"],
      ["unknown command '--context=mix.wav'", "generate"],
    ),
    (["generate", "--seconds=0", "--out=a.wav"], ["--seconds=0", "0.2 to"]),
    (["generate", "--seconds=-1", "--out=a.wav"], ["--seconds=-1"]),
    (["generate", "--seconds=nan", "--out=a.wav"], ["--seconds=nan"]),
    (["generate", "--seconds=601", "--out=a.wav"], ["0.2 to 600"]),
    (
      ["generate", "--seconds=1", "--out=a.wav", "--mix=b.wav"],
      ["--mix=b.wav: expected --context to mix with"],
    ),
    (["generate", "--out=a.wav"], ["either --context", "or --seconds"]),
  ],
)
def test_wrong_app_or_length(studio, run, arguments, words):
  done = run(*arguments)
  assert done.returncode == 1
  assert len(done.stderr.splitlines()) == 1
  for word in words:
    assert word in done.stderr
  assert not (studio / "a.wav").exists()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["generate", "--help"]])
def test_help_comes_at_once_and_names_what_there_is(run, arguments):
  done = run(*arguments)
  assert done.returncode == 0, done.stderr
  assert done.stderr == ""
  assert "generate" in done.stdout
  lines = done.stdout.splitlines()
  assert len(lines) < 100
  if arguments[:1] == ["generate"]:
    assert "--context" in done.stdout
    assert "--logtostderr" not in done.stdout
    assert max(map(len, lines)) <= 80
    # Of every setting there is the name and what it may be.
    assert re.search(r" rank +paper, gumbel, random, low_disc", done.stdout)
    for name in (field.name for field in dataclasses.fields(Settings)):
      assert re.search(rf"^ +(--)?{name}[ =.]", done.stdout, re.MULTILINE)
  else:  # modules that are no apps are not among them
    assert "source_flags" not in done.stdout


def test_it_says_its_version(run):
  assert run("--version").stdout == f"stemgen-jax {__version__}\n"


def test_trace_shows_where_an_error_came_from(run):
  done = run(*GENERATE, "--takes=0", "--trace")
  assert "Traceback" in done.stderr
  assert done.returncode == 1


def test_importing_the_package_loads_neither_jax_nor_torch(studio):
  show = "import stemgen_jax; print(dir(stemgen_jax), stemgen_jax.__version__)"
  done = python(studio, "-c", show)
  assert done.stderr == ""
  for name in ("StemGen", "Take", "0."):
    assert name in done.stdout


@pytest.mark.parametrize(
  "app",
  [
    "evaluate",
    "export",
    "extend",
    "prepare",
    "regenerate",
    "train",
    "train_codec",
    "train_coherence",
    "transfer",
    "vary",
  ],
)
def test_every_app_answers_in_the_same_way(run, app):
  assert f"  {app} " in run("--help").stdout
  helped = run(app, "--help")
  assert helped.returncode == 0, helped.stderr
  assert "--out=" in helped.stdout
  wrong = run(app, "--ouut=folder")
  assert wrong.returncode == 1
  assert "unknown flag --ouut, did you mean --out?" in wrong.stderr
  assert len(wrong.stderr.splitlines()) == 1


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("--what=singing --out=o", "--what=singing: expected one of all,"),
    ("--what=lisening --out=o", "decoding, did you mean listening?"),
    ("--what=listening", "--out is missing"),
    ("--what=loops --out=o", "--files is missing"),
    ("--what=decoding --out=o", "--grid is missing"),
    ("--out=o --files=*", "--files is for --what=loops or retrieval, not all"),
    ("--out=o --examples=1", "--examples=1: expected at least 2"),
    ("--out=o --seconds=61", "--seconds=61: expected 2 to 60"),
    ("--out=o --preset=papr", "default|fast|paper"),
    ("--out=mix.wav", "mix.wav is a file, not a folder"),
  ],
)
def test_invalid_flags_of_evaluate_need_no_jax(run, arguments, message):
  done = run("evaluate", *arguments.split())
  assert done.returncode == 1
  assert message in done.stderr
  assert len(done.stderr.splitlines()) == 1
