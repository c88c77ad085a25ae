"""Every command of every README runs, or its dry run does, on small data."""

import dataclasses
import functools
import itertools
import os
import pathlib
import re
import runpy
import shlex
import subprocess
import sys

import listeners
import numpy as np
import pytest
import small_weights
import soundfile
import trees
from random_codec import random_codec

from stemgen_jax import __main__ as command
from stemgen_jax.apps import train
from stemgen_jax.codec import published, weight_files
from stemgen_jax.codec.training import report
from stemgen_jax.data.sources import soundfont
from stemgen_jax.evaluation.studies import grid
from stemgen_jax.paths import LOOPS
from stemgen_jax.sampling import settings

pytestmark = pytest.mark.processes

ROOT = pathlib.Path(__file__).parents[1]
# In this order: later commands use the files of earlier ones.
ROOMS = {
  ROOT / name: (ROOT / name).read_text(encoding="utf-8")
  for name in (
    "stemgen_jax/generation/README.md",
    "stemgen_jax/session/README.md",
    "stemgen_jax/live/README.md",
    "stemgen_jax/studio/README.md",
    "stemgen_jax/sampling/README.md",
    "stemgen_jax/evaluation/README.md",
    "stemgen_jax/training/README.md",
    "stemgen_jax/codec/README.md",
    "stemgen_jax/coherence/README.md",
    "stemgen_jax/data/README.md",
    "configs/README.md",
    "launch/README.md",
  )
}
README = ROOT / "README.md"
REPRODUCE = ROOT / "configs/reproduce.md"
READMES = {
  path: path.read_text(encoding="utf-8")
  for path in (README, *ROOMS, REPRODUCE, ROOT / "assets/README.md")
}
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = READMES | {CONTRIBUTING: CONTRIBUTING.read_text(encoding="utf-8")}
CONFIGS = sorted(ROOT.glob("configs/*.py"))

_SMALL_MODEL = (
  "--config.model.depth=1 --config.model.width=64 --config.model.heads=2 "
  "--config.model.mlp=64 --config.model.window=100"
)
# Appended to a command. If a flag is repeated, its last value counts.
SMALLER = {
  "generate": "--steps=1",
  "vary": "--steps=1",
  "regenerate": "--steps=1",
  "extend": "--steps=1",
  "layer": "--steps=1",
  "live": "--steps=1 --overwrite",
  "prepare": "--pairs=2 --workers=0",
  "transfer": "--weights=small.safetensors --pairs=2",
  "train": f"--config.steps=4 --config.batch=2 {_SMALL_MODEL} "
  "--config.validate_batches=1 --config.mesh_data=1",
  "export": "",
  # tests/evaluation covers the demo weights.
  "evaluate": "--weights=small.safetensors",
  # The reports share the rendered songs of the training run.
  "train_coherence": "--steps=2 --batch=2 --songs=4 --song_seconds=10 "
  "--out=runs/coherence",
  "train_codec": "--steps=2 --batch=1 --songs=2 --song_seconds=4 "
  "--out=runs/codec",
}
SMALLER_EVALUATION = {
  # tests/evaluation covers the sessions of the page, and the workers.
  "all": "--examples=2 --seconds=2 --preset=fast --mirdd=false --variations=0 "
  "--shown=1 --workers=0",
  "listening": "--examples=2",
  "sound": "--preset=fast --examples=8",
  "loops": "--seconds=2 --preset=fast",
  "retrieval": "--seconds=2 --preset=fast",
  "blind": "--examples=2 --seconds=2 --preset=fast",
  "live": "--examples=2 --seconds=8 --preset=fast",
  "perturbation": "--songs=2 --seconds=2",
  # All but the first of these find its stems.
  "decoding": "--examples=2 --seeds=1 --seconds=2 --mirdd=false --steps= "
  "--only= --vggish= --grid=small_grid.py --out=out/decoding",
}
SMALL_GRID = """
import dataclasses

from stemgen_jax.sampling import preset

# With other steps nothing is compiled that `evaluate` did not compile before.
def get_settings():
  fast = preset("fast")
  return {"fast": fast, "few": dataclasses.replace(fast, steps=(2, 1, 1, 1))}
"""
SMALLER_BAND = "--songs=2 --valid_songs=2 --test_songs=2 --seconds=4"
# The published codecs need downloads, and the songs here last some seconds.
SMALLER_FILES = "--codec=demo --segment_seconds=4"
# Its untrained stand-in has segments of 150 frames, too.
STEREO = "--codec=encodec_48khz"
# tests/test_scripts.py runs demo.sh. `launch/test.sh` runs this very test, and
# the first step of CI is the installation.
SCRIPTS = ("./launch/", "sbatch ", "pip ", "python3 ", "git ", "cd ", "curl ")
SCRIPTS += ("tar ",)
MODULES = ("python launch/sweep.py ", "python launch/benchmark.py ")


def commands_of(text: str) -> list[str]:
  """Return the command lines of the indented blocks, in order."""
  text = text.replace("\\\n", " ")
  lines = re.findall(r"^ {4}(\S.*)$", text, flags=re.MULTILINE)
  return [" ".join(line.split("  #")[0].split()) for line in lines]


def commands() -> list[str]:
  """Return the commands of all READMEs in order, each only once."""
  found = itertools.chain.from_iterable(map(commands_of, READMES.values()))
  return list(dict.fromkeys(found))


def words_of(program: str) -> list[list[str]]:
  """Return the arguments of every command that starts with a program."""
  return [
    shlex.split(line.removeprefix(program))
    for line in commands()
    if line.startswith(program)
  ]


def anchors(text: str) -> set[str]:
  """Return the anchors that GitHub gives to the headings of a page."""
  titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
  kept = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
  return {title.replace(" ", "-") for title in kept}


def test_every_readme_is_listed():
  found = {
    path
    for folder in ("assets", "configs", "launch", "stemgen_jax")
    for path in (ROOT / folder).rglob("README.md")
  }
  # That of the loops has the program that rendered them, and no commands.
  loops = ROOT / "stemgen_jax/assets/loops/README.md"
  assert found | {README, REPRODUCE} == {*READMES, loops}
  assert "stemgen-jax " not in loops.read_text(encoding="utf-8")


def test_readme_is_short():
  assert len(READMES[README].splitlines()) <= 220


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.parent.name)
def test_a_room_begins_with_its_entry_points_and_names_existing_files(path):
  sections = re.findall(r"^## (.*)$", ROOMS[path], flags=re.MULTILINE)
  assert sections[0] == "Entry points"
  rows = re.findall(r"^\| (`.*?) \|", ROOMS[path], flags=re.MULTILINE)
  names = re.findall(r"`([\w/]+(?:\.py|/))`", " ".join(rows))
  assert [x for x in names if not (path.parent / x).exists()] == []


def test_floor_plan_has_every_room():
  rooms = {path.parent.name for path in ROOT.glob("stemgen_jax/*/__init__.py")}
  text = PAGES[CONTRIBUTING]
  planned = set(re.findall(r"^\| \[?`(\w+)/`", text, flags=re.MULTILINE))
  assert planned == rooms | {"assets"}
  order = re.findall(r"^(\d+)\. \[", text, flags=re.MULTILINE)
  assert list(map(int, order)) == list(range(1, 13))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_begins_with_its_command_and_result(path):
  doc = re.match(r'"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL)
  assert doc
  text = doc[1].replace("\\\\\n", " ")
  heads = re.findall(r"^(\w[\w ]*):(?: |$)", text, flags=re.MULTILINE)[-4:]
  assert heads == ["Command", "Hardware", "Wall time", "Result"]
  block = text[text.index("Command:") : text.index("Hardware:")]
  lines = [
    " ".join(x.split()) for x in re.findall(r"^  (stemgen.*)", block, re.M)
  ]
  assert any(f"configs/{path.name}" in line for line in lines)
  launched = [
    " ".join(("stemgen-jax train", *(x for x in words if "--" in x)))
    for words in words_of("sbatch --nodes=4 ")
  ]
  assert [x for x in lines if x not in (*commands(), *launched)] == []


def test_only_known_commands():
  for line in commands():
    assert line.startswith(("stemgen-jax ", *SCRIPTS, *MODULES)), line
    if line.startswith("./"):
      script = ROOT / line.split()[0]
      assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


@pytest.mark.parametrize(
  "line", [x for x in commands() if re.match(r"sbatch |./launch/tpu_vm", x)]
)
def test_launch_scripts_print_their_commands(line):
  words = [x for x in shlex.split(line) if not x.startswith("--nodes")]
  own = ("--type", "--spot", "--setup")  # of tpu_vm.sh
  flags = [x for x in words if x.startswith("--") and not x.startswith(own)]
  if words[0] == "sbatch":
    words[0] = "bash"
  done = subprocess.run(
    [*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  printed = done.stdout.replace("\\", "")
  assert "stemgen-jax train --coordinator=auto " + " ".join(flags) in printed
  assert re.search(r"^(gcloud|srun) ", printed)


@pytest.mark.parametrize("words", words_of("python launch/sweep.py "))
def test_sweeps_print_commands_of_train(words, monkeypatch, capsys):
  monkeypatch.chdir(ROOT)
  sweep = runpy.run_path("launch/sweep.py")
  assert sweep["main"]([*words, "--print"]) == 0
  printed = list(map(shlex.split, capsys.readouterr().out.splitlines()))
  assert len(printed) > 1
  for program, app, *flags in printed:
    assert (program, app) == ("stemgen-jax", "train")
    names = {flag[2:].partition("=")[0] for flag in flags}
    fields = {f"config.{name}" for name in train.config_fields()}
    assert names <= fields | {"config", "data", "out"}


def test_benchmarks_accept_their_flags():
  # tests/test_benchmark.py runs every part.
  parser = runpy.run_path(str(ROOT / "launch/benchmark.py"))["parser"]()
  found = [parser.parse_args(x).part for x in words_of(MODULES[1])]
  assert sorted(set(found)) == [
    "agreement",
    "batches",
    "codec",
    "detection",
    "first_sound",
    "kernels",
    "live",
    "model",
    "scaling",
  ]


# Of two pairs that are prepared here.
@pytest.mark.filterwarnings("ignore:these weights were not trained on")
def test_commands_run_one_after_the_other(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").symlink_to(ROOT / "configs")
  (tmp_path / "stemgen_jax").symlink_to(ROOT / "stemgen_jax")
  (tmp_path / "loops").symlink_to(LOOPS)
  (tmp_path / "small_grid.py").write_text(SMALL_GRID)
  small_weights.save(tmp_path / "small.safetensors")
  monkeypatch.setattr(weight_files, "find", lambda *_: None)
  monkeypatch.setattr(published, "load", lambda name, *_: random_codec(name))
  one_clip = functools.partial(report.report, count=1)
  monkeypatch.setattr(report, "report", one_clip)
  noise = np.random.default_rng(0).normal(0, 0.1, (5 * 44100, 2))
  soundfile.write("my_mix.wav", noise, 44100)
  trees.slakh(tmp_path / "slakh2100_flac_redux")
  # An evaluation needs two test songs.
  trees.slakh_track(tmp_path / "slakh2100_flac_redux/test/Track01877")
  trees.musdb18(tmp_path / "musdb18hq")
  trees.moisesdb(tmp_path / "moisesdb", songs=2)
  trees.folder(tmp_path / "my_songs", songs=2)
  trees.midi(tmp_path / "my_midi")
  trees.mma(tmp_path / "program")
  path = f"{tmp_path / 'program/bin'}{os.pathsep}{os.environ['PATH']}"
  monkeypatch.setenv("PATH", path)
  fonts = ("FluidR3_GM.sf2", "MuseScore_General_Full.sf3", "TimGM6mb.sf2")
  for name in fonts:
    (tmp_path / name).symlink_to(soundfont.default_soundfont())
  ran = words_of("stemgen-jax ")
  assert len(ran) >= 35
  for arguments in ran:
    if arguments[0] == "studio":
      continue  # tests/studio/test_commands.py runs it, and the curl commands
    line = shlex.join(arguments)
    if arguments[0] in ("generate", "vary", "regenerate", "extend"):
      # Several commands write the same file.
      arguments.append("--overwrite")
    parts = (x.partition("=") for x in arguments)
    given = {name: value for name, _, value in parts}
    if path := given.get("--grid"):
      names = given.get("--only", ""), given.get("--steps", "")
      assert len(grid.load(path, *names)) > 1
    adds = any(x.startswith("--add=") for x in arguments)
    if arguments[0] != "evaluate" and (arguments[0] != "layer" or adds):
      arguments += shlex.split(SMALLER[arguments[0]])
    if arguments[0] == "train" and "--out=runs/demo" not in arguments:
      arguments.append("--config.listen_every=0")  # one run is enough
      if "mingus" in given["--config"]:
        arguments.append("--config.model.window=150")
    if arguments[0] == "prepare":
      of_files = any(argument.startswith("--root=") for argument in arguments)
      of_files &= "--source=mma" not in arguments
      arguments += shlex.split(SMALLER_FILES if of_files else SMALLER_BAND)
      arguments += [x for x in arguments if x == STEREO]  # not --codec=demo
    answers = [x[10:] for x in arguments if x.startswith("--answers=")]
    if answers:
      # Of the page that the command before has made.
      listeners.save(answers[0].split(","), pathlib.Path("out/blind/key.json"))
    elif arguments[0] == "evaluate":
      arguments += shlex.split(SMALLER["evaluate"])
      whats = [x[7:] for x in arguments if x.startswith("--what=")]
      arguments += shlex.split(SMALLER_EVALUATION[(whats or ["all"])[0]])
      if "--data" in given:
        # Other songs, with results in another folder, and instruments.
        arguments += [f"{x}={given[x]}" for x in ("--out", "--weights")]
    if arguments[0] == "train_codec" and "--codec=demo" in arguments:
      arguments.append("--files=loops/drums.flac")
    if any(argument.startswith("--runner=") for argument in arguments):
      arguments.append("--dry_run")  # no cluster in the tests
    # ml_collections looks for --config.x flags in sys.argv.
    monkeypatch.setattr(sys, "argv", ["stemgen-jax", *arguments])
    code = command.main(arguments)
    assert code == 0, f"{line}\n{capsys.readouterr().err}"
  assert pathlib.Path("my_mix-bass-3.wav").exists()
  assert pathlib.Path("runs/demo/model.md").exists()
  assert pathlib.Path("runs/demo/listen/index.html").exists()


@pytest.mark.parametrize(
  ("path", "result"),
  [
    (README, "takes/bass-seed3.wav"),
    (ROOT / "stemgen_jax/session/README.md", "my_song_files/mix.wav"),
  ],
  ids=lambda value: getattr(value, "parent", value),
)
def test_python_examples_run(path, result, tmp_path, monkeypatch):
  (code,) = re.findall(r"```python\n(.*?)```", READMES[path], re.DOTALL)
  monkeypatch.chdir(tmp_path)
  noise = np.random.default_rng(0).normal(0, 0.1, (44100, 1))
  soundfile.write("my_mix.wav", noise, 44100)
  for name, preset in settings.PRESETS.items():
    few = dataclasses.replace(preset, steps=(1,))
    monkeypatch.setitem(settings.PRESETS, name, few)
  exec(compile(code, path.name, "exec"), {})
  assert pathlib.Path(result).exists()


@pytest.mark.parametrize(
  ("page", "target"),
  [
    (path, target)
    for path, text in PAGES.items()
    for target in dict.fromkeys(re.findall(r"\]\((?!http)(.*?)\)", text))
  ],
)
def test_links_lead_somewhere(page, target):
  name, _, anchor = target.partition("#")
  path = page.parent / name if name else page
  assert path.exists()
  if anchor:
    assert anchor in anchors(path.read_text(encoding="utf-8"))
