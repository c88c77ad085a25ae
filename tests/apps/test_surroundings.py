"""Consoles, names, users and disks of all kinds; and bugs."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from stemgen_jax import audio, disk
from stemgen_jax.cli import dispatch
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import song_codes
from stemgen_jax.data.sources import multitracks

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "stemgen_jax"

# A user whom the system does not know, without a home, under any shell.
STRANGE = """
import os, pwd, runpy, sys

def unknown(uid):
  raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = unknown
for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
  os.environ.pop(name, None)
runpy.run_module("stemgen_jax", run_name="__main__", alter_sys=True)
"""


def files(folder):
  return {x for x in folder.rglob("*") if "__pycache__" not in x.parts}


@pytest.mark.processes
def test_a_take_of_an_unknown_user_on_an_old_console(tmp_path):
  before = files(PACKAGE)
  mix = os.fsdecode(b"Ma\xf1ana \xff.wav")  # not UTF-8
  noise = np.random.default_rng(0).normal(0, 0.1, 8000)
  with open(tmp_path / mix, "wb") as file:
    soundfile.write(file, noise, 16000, format="WAV")
  environment = {
    name: value
    for name, value in os.environ.items()
    if name != "STEMGEN_JAX_CACHE"
  }
  for encoding, out in (("cp1252", "Mañana – 夜.wav"), ("ascii", f"2 {mix}")):
    done = subprocess.run(
      [
        *(sys.executable, "-c", STRANGE, "generate", f"--context={mix}"),
        *(f"--out=new/{out}", f"--mix=new/mix {out}", "--steps=1"),
        "--picture=new/a.png",
        "--overwrite",
      ],
      cwd=tmp_path,
      env=environment
      | {
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": encoding,
        # Nothing is downloaded.
        "https_proxy": "http://127.0.0.1:1",
      },
      capture_output=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    codes = pathlib.Path(out).with_suffix(".codes.npz").name
    names = {x.name for x in (tmp_path / "new").iterdir()}
    assert {out, codes, f"mix {out}", "a.png"} <= names
  # Nothing is written elsewhere, such as in a folder called ~.
  assert {x.name for x in tmp_path.iterdir()} == {mix, "new"}
  assert files(PACKAGE) == before


def test_names_of_songs_need_not_be_utf8(tmp_path):
  path = tmp_path / os.fsdecode(b"bass\xff.wav")
  with open(path, "wb") as file:
    soundfile.write(file, np.zeros(16000), 16000, format="WAV")
  stem = songs.Stem(path.stem, "bass", lambda: audio.read(path), files=(path,))
  song = songs.Song(os.fsdecode(b"so\xffng"), "train", "rock", (stem,))
  assert (song.id, stem.name) == (r"so\xffng", r"bass\xff")
  assert song_codes.song_path(tmp_path, song.id).name == "so%5Cxffng.npz"
  assert multitracks.longest_seconds([song], 60.0) == 1.0
  assert len(stem.read().samples) == 16000
  assert json.loads(song.made_of())
  disk.write_text(tmp_path / "names.txt", path.name)
  assert (tmp_path / "names.txt").read_bytes() == rb"bass\udcff.wav"


def test_a_bug_is_one_line_and_a_trace(monkeypatch, tmp_path, capsys):
  def broken(argv):
    raise KeyError("no such\nkey")

  monkeypatch.setattr(dispatch, "_run", broken)
  monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
  assert dispatch.main(["prepare"]) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert "this is a bug in stemgen-jax (KeyError: 'no such\\nkey')" in line
  (trace,) = tmp_path.iterdir()
  assert str(trace) in line
  assert "in broken" in trace.read_text()
  # Where the trace cannot be written either.
  monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
  assert dispatch.main(["prepare"]) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert "STEMGEN_JAX_TRACE=1 prints its trace" in line


@pytest.mark.parametrize(
  ("error", "expected"),
  [
    (OSError(28, "No space left on device", "a"), "disk full: .*; free some"),
    (OSError(27, "File too large", "a"), "file-size limit.*; raise it .ulimit"),
    (
      ModuleNotFoundError("No module named 'grain'", name="grain"),
      r"run in /.*: pip install -e '.\[train\]' -c launch/constraints.txt$",
    ),
    (MemoryError("of 3 GB"), "error: too little memory"),
    (ValueError("--a=1: expected 2"), "error: --a=1: expected 2$"),
  ],
)
def test_errors_of_the_system_are_no_bugs(error, expected, monkeypatch, capsys):
  def failing(argv):
    raise error

  monkeypatch.setattr(dispatch, "_run", failing)
  assert dispatch.main(["prepare"]) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert re.search(expected, line)


@pytest.mark.parametrize(
  ("command", "flag"),
  [
    ("prepare", "out"),
    ("prepare", "export_heldout"),
    ("train", "out"),
    ("train_codec", "out"),
    ("train_codec", "export"),
    ("export", "out"),
    ("transfer", "out"),
    ("evaluate", "out"),
    ("generate", "out"),
    ("generate", "mix"),
    ("vary", "out"),
    ("regenerate", "picture"),
    ("extend", "out"),
  ],
)
def test_addresses_are_refused_at_once(
  command, flag, monkeypatch, tmp_path, capsys
):
  monkeypatch.chdir(tmp_path)
  given = [command, f"--{flag}=gs://bucket/a.wav"]
  if command == "train":
    given.insert(1, f"--config={ROOT / 'configs/demo.py'}")
  assert dispatch.main(given) == 1
  expected = f"--{flag}=gs://bucket/a.wav: expected a path on this machine"
  assert expected in capsys.readouterr().err
  assert not list(tmp_path.iterdir())
