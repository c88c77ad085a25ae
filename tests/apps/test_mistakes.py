"""What musicians type on the command line, and the line that answers it."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from stemgen_jax import __main__
from stemgen_jax.cli import help as help_lib

BROKEN_PIPE = 141
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def run(context, capsys):
  """Run a command that is refused; return its one line of error."""
  with open("my mix.wav", "wb") as file:
    file.write(b"music")
  os.symlink(ROOT / "configs", "configs")

  def run(*arguments):
    assert __main__.main(list(arguments)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line.removeprefix("stemgen-jax: error: ")

  return run


@pytest.mark.parametrize(
  ("arguments", "answer"),
  [
    (["gen"], "'gen', did you mean generate?"),
    (["make"], "'make', did you mean generate?"),
    (["mix.wav"], "did you mean stemgen-jax generate mix.wav?"),
    (["bass"], "did you mean stemgen-jax generate FILE --stem=bass?"),
    (["generate", "mx.wav"], "no such file: mx.wav; did you mean mix.wav?"),
    (["generate", "mx.wav", "--best=9"], "no such file: mx.wav"),
    (["generate", "mix.wav", "--stm=bass"], "--stm, did you mean --stem?"),
    (["generate", "mix.wav", "--Stem=bass"], "did you mean --stem?"),
    (["generate", "mix.wav", "--output=a.wav"], "did you mean --out?"),
    (["generate", "mix.wav", "-o", "a.wav"], "did you mean --out?"),
    (
      ["generate", "mix.wav", "bass"],
      "'bass' belongs to no flag, did you mean --stem=bass?",
    ),
    (["generate", "mix.wav", "stem=bass"], "did you mean --stem=bass?"),
    (["generate", "mix.wav", "\u2014stem=bass"], "did you mean --stem=bass?"),
    (["generate", "mix.wav", "--stem", "=", "bass"], "mean --stem=bass?"),
    (["generate", "mix.wav", "--stem=", "bass"], "did you mean --stem=bass?"),
    (["generate", "--stem=bass", "guitar"], "mean '--stem=bass guitar'?"),
    (["generate", "mix.wav", "--out=my", "a.wav"], "'--out=my a.wav'?"),
    (["generate", "my", "mix.wav"], "did you mean 'my mix.wav', in quotes?"),
    (["generate", "mix.wav", "mix.wav"], "generate CONTEXT --flag=value"),
    (
      ["train", "--config=configs/dem.py"],
      "--config=configs/dem.py: no such file; did you mean configs/demo.py?",
    ),
    (
      ["train", "--config=configs/decoding.py", "--config.steps=2"],
      "decoding settings are for stemgen-jax evaluate --grid",
    ),
    (["train", "--config", "mix.wav"], "--config=mix.wav has no get_config()"),
    (["push", "--weights=a", "--repository=me"], "=me: expected OWNER/NAME"),
    (["generate", "--seconds=1:75"], "--seconds=1:75: '1:75' is not a time"),
    (["generate", "mix.wav", "--stem=vocals"], "'vocals': singing is not gen"),
    (["layer", "song", "--add=Lead Vox"], "'Lead Vox': singing is not gen"),
    (["vary", "bas.wav"], "no such file: bas.wav"),
    (["generate", "mix.wav", "--instument=bass"], "mean --instrument?"),
    (["generate", "mix.wav", "--takes=two"], "--takes=two: expected a whole "),
    (["generate", "mix.wav", "--loop=yeah"], "--loop=yeah: expected true or"),
    (["layer", "song", "--pan=left"], "--pan=left: expected a number"),
    (
      ["generate", "mix.wav", "--bpm=120"],
      "--bpm: tempo and harmony are those",
    ),
    (["generate", "mix.wav", "--prompt=funky"], "there are no text prompts"),
    (["generate", "mix.wav", "--start=1:00"], "all of the music is used, cut"),
    (["generate", "mix.wav", "--wet=1"], "unknown flag --wet; see"),
    (["generate", "mix.wav", "--stem=bass, drums"], "expected one instrument"),
    (
      ["generate", "mix.wav", "--stem", "bass", "guitar"],
      "'--stem=bass guitar'",
    ),
    (
      ["generate", "mix.wav", "--stem", "bass", "piano"],
      "generate CONTEXT --fl",
    ),
    (["generate", "https://example.com/a.mp3"], "download it first"),
    (["generate", "mix.wav", "--seconds=0:30"], "as long as its context"),
    (["vary", "mix.wav", "30%"], "did you mean --share=30%?"),
    (["regenerate", "mix.wav", "0:01-0:02"], "mean --regions=0:01-0:02?"),
    (["vary", "mix.wav", "--share=0%"], "--share=0%: expected above 0"),
    (["vary", "mix.wav", "--share=130%"], "--share=130%: expected above 0"),
    (["vary", "mix.wav", "--share=30"], "did you mean 30%?"),
    (["vary", "mix.wav", "--share=nan"], "--share=nan: expected above 0"),
    (["vary", "mix.wav", "--share=30%%"], "--share=30%%: expected above 0"),
    (["regenerate", "bas.wav"], "no such file: bas.wav"),
    (["regenerate", "mix.wav"], "give either --regions"),
    (["regenerate", "mix.wav", "--regions=1:00-0:30"], "FROM before TO"),
    (
      ["regenerate", "mix.wav", "--regions=1:00-1:75"],
      "'1:00-1:75' is not a region",
    ),
    (["layer", "song", "no.wav", "--takes=2"], "no such file: no.wav"),
    (["export", "runs/demo"], "did you mean --run=runs/demo?"),
    (["layer", "mix.wav", "--add=bass"], "layer my_song mix.wav"),
    (["layer", "song", "--stem=bass"], "did you mean --add?"),
  ],
  ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_answered_by_what_was_meant(run, arguments, answer):
  assert answer in run(*arguments)


@pytest.mark.parametrize(
  "arguments",
  [[], *([name, "--help"] for name in help_lib.command_names())],
  ids=" ".join,
)
def test_a_reader_that_ends_is_no_error(arguments, monkeypatch, capsys):
  reader, writer = os.pipe()
  os.close(reader)
  with monkeypatch.context() as patch:
    # Every line is written, as at the end of a buffer.
    patch.setattr(sys, "stdout", os.fdopen(writer, "w", buffering=1))
    assert __main__.main(arguments) == BROKEN_PIPE
    with contextlib.suppress(BrokenPipeError):
      sys.stdout.close()
  assert capsys.readouterr().err == ""


@pytest.mark.processes
def test_help_of_a_process_that_is_cut_off():
  command = f"{sys.executable} -m stemgen_jax generate --help | head -1"
  done = subprocess.run(
    command, shell=True, capture_output=True, text=True, check=True
  )
  assert done.stdout == "Generate a new stem that fits your music.\n"
  assert done.stderr == ""


@pytest.mark.processes
def test_help_imports_no_slow_library():
  slow = "{'jax', 'matplotlib', 'scipy', 'soundfile', 'torch'}"
  program = (
    "import sys; from stemgen_jax.__main__ import main; "
    "main(['generate', '--help']); "
    f"sys.exit(str({slow} & set(sys.modules) or ''))"
  )
  done = subprocess.run(
    [sys.executable, "-c", program], capture_output=True, text=True, check=False
  )
  assert done.stderr.strip() == ""


def test_help_of_a_command_has_two_spellings(capsys):
  assert __main__.main(["vary", "--help"]) == 0
  expected = capsys.readouterr().out
  assert __main__.main(["help", "vary"]) == 0
  assert capsys.readouterr().out == expected


def test_help_lists_instruments_of_the_weights_apart(tmp_path, capsys):
  mine = tmp_path / "mine.json"
  about = {"metadata": {"categories": ["organ", "drums"]}}
  mine.write_text(json.dumps(about), encoding="utf-8")
  for weights, known, other in (
    ("demo", "  piano, bass, synth_lead, synth_pad, drums\n", "strings"),
    (str(mine.with_suffix("")), "  organ, drums\n", "bass"),
  ):
    # Further mistakes do not matter here.
    assert __main__.main(["generate", f"--weights={weights}", "-h"]) == 0
    text = capsys.readouterr().out
    trained, untrained = text.split("others, on which these were not trained")
    assert f"instruments of --weights={weights}:\n{known}" in trained
    assert re.search(rf"^ .*\b{other}\b", untrained, re.MULTILINE)
  mine.unlink()
  __main__.main(["generate", f"--weights={mine}", "--stm", "--help"])
  assert "others, on" not in capsys.readouterr().out
