"""Every command of the README runs, made small by further flags."""

import functools
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import trees

from stemgen_jax import __main__ as command
from stemgen_jax.codec.training import report
from stemgen_jax.paths import LOOPS

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

_SMALL_MODEL = (
  "--config.model.depth=1 --config.model.width=64 --config.model.heads=2 "
  "--config.model.mlp=64 --config.model.window=100"
)
# Appended to a command: of a flag given twice the last one counts.
SMALLER = {
  "generate": "--steps=1",
  "vary": "--steps=1",
  "regenerate": "--steps=1",
  "extend": "--steps=1",
  "prepare": "--pairs=2 --workers=0",
  "train": f"--config.steps=4 --config.batch=2 {_SMALL_MODEL} "
  "--config.validate_batches=1 --config.mesh_data=1",
  "export": "",
  "evaluate": "",
  "train_codec": "--steps=2 --batch=2 --songs=2 --song_seconds=4",
}
SMALLER_EVALUATION = {
  "all": "--examples=2 --seconds=2 --preset=fast --mirdd=false --variations=1 "
  "--shown=1",
  "listening": "--examples=2",
  "sound": "--preset=fast",
  "loops": "--seconds=2 --preset=fast",
}
SMALLER_BAND = "--songs=4 --valid_songs=2 --test_songs=4 --seconds=4"
# No weights of published codecs are here, nor a minute of music.
SMALLER_FILES = "--codec=demo --segment_seconds=4"
# What these do is tested by running the scripts themselves: `launch/test.sh`
# runs this very test, and CI's first step is the installation.
SCRIPTS = ("./launch/", "sbatch ", "pip ", "python3 ", "git ", "cd ")


def commands() -> list[str]:
  """The command lines of the README's indented blocks, in order."""
  text = README.replace("\\\n", " ")
  lines = re.findall(r"^ {4}(\S.*)$", text, flags=re.MULTILINE)
  return [line.split("  #")[0].strip() for line in lines]


def test_only_known_commands():
  for line in commands():
    assert line.startswith(("stemgen-jax ", *SCRIPTS)), line
    if line.startswith("./"):
      script = ROOT / line.split()[0]
      assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


@pytest.mark.parametrize(
  "line", [x for x in commands() if re.match(r"sbatch |./launch/tpu_vm", x)]
)
def test_launch_scripts_say_what_they_would_do(line):
  words = [x for x in shlex.split(line) if not x.startswith("--nodes")]
  flags = [x for x in words if x.startswith("--")]
  if words[0] == "sbatch":
    words[0] = "bash"
  done = subprocess.run(
    [*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  said = done.stdout.replace("\\", "")
  assert "stemgen-jax train --coordinator=auto " + " ".join(flags) in said
  assert re.search(r"^(gcloud|srun) ", said)


def test_commands_run_one_after_the_other(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").symlink_to(ROOT / "configs")
  (tmp_path / "loops").symlink_to(LOOPS)
  one_clip = functools.partial(report.report, count=1)
  monkeypatch.setattr(report, "report", one_clip)
  noise = np.random.default_rng(0).normal(0, 0.1, (5 * 44100, 2))
  soundfile.write("my_mix.wav", noise, 44100)
  trees.slakh(tmp_path / "slakh2100_flac_redux")
  trees.musdb18(tmp_path / "musdb18hq")
  trees.moisesdb(tmp_path / "moisesdb", songs=2)
  trees.folder(tmp_path / "my_songs", songs=2)
  ran = [line for line in commands() if line.startswith("stemgen-jax ")]
  assert len(ran) >= 8
  for line in ran:
    arguments = shlex.split(line)[1:]
    if arguments[0] in ("generate", "vary", "regenerate", "extend"):
      # The README names one file in several commands.
      arguments.append("--overwrite")
    arguments += shlex.split(SMALLER[arguments[0]])
    if arguments[0] == "train" and "--out=runs/demo" not in arguments:
      arguments.append("--config.listen_every=0")  # once is enough
    if arguments[0] == "prepare":
      of_files = any(argument.startswith("--root=") for argument in arguments)
      arguments += shlex.split(SMALLER_FILES if of_files else SMALLER_BAND)
    if arguments[0] == "evaluate":
      whats = [x[7:] for x in arguments if x.startswith("--what=")]
      arguments += shlex.split(SMALLER_EVALUATION[(whats or ["all"])[0]])
    if any(argument.startswith("--runner=") for argument in arguments):
      arguments.append("--dry_run")  # there is no cluster here
    # Where ml_collections looks for --config.x flags.
    monkeypatch.setattr(sys, "argv", ["stemgen-jax", *arguments])
    code = command.main(arguments)
    assert code == 0, f"{line}\n{capsys.readouterr().err}"
  assert pathlib.Path("bass-seed6.wav").exists()
  assert pathlib.Path("runs/demo/model.md").exists()
  assert pathlib.Path("runs/demo/listen/index.html").exists()


def test_python_example_runs(tmp_path, monkeypatch):
  (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
  monkeypatch.chdir(tmp_path)
  noise = np.random.default_rng(0).normal(0, 0.1, (44100, 1))
  soundfile.write("my_mix.wav", noise, 44100)
  exec(compile(code, "README.md", "exec"), {})
  assert pathlib.Path("takes/bass-seed3.wav").exists()


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)(.*?)\)", README))
def test_links_lead_somewhere(target):
  assert (ROOT / target.split("#")[0]).exists()
