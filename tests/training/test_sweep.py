"""Sweeps with a tiny model on tiny data."""

import importlib.util
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from unittest import mock

import pytest

from stemgen_jax import __main__ as command
from stemgen_jax.training.metrics import read_log

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = ROOT / "configs/demo.py"

_SPEC = importlib.util.spec_from_file_location(
  "sweep", ROOT / "launch/sweep.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
sweep = importlib.util.module_from_spec(_SPEC)
sys.modules["sweep"] = sweep
_SPEC.loader.exec_module(sweep)

SMALL = {
  "model.width": "16",
  "model.depth": "1",
  "model.heads": "2",
  "model.mlp": "16",
  "model.window": "20",
  "mask.level_weights": "()",
  "batch": "4",
  "mesh_data": "1",
  "log_every": "1",
  "validate_batches": "1",
  "listen_every": "0",
}


@pytest.fixture
def calls(monkeypatch):
  """Train in this process and record the calls."""
  made = []

  def call(argv):
    assert argv[:4] == [sys.executable, "-P", "-m", "stemgen_jax"]
    made.append(argv[4:])
    with mock.patch.object(sys, "argv", ["stemgen-jax", *argv[4:]]):
      return command.main(argv[4:])

  monkeypatch.setattr(sweep, "_call", call)
  return made


def arguments(codes, out, *more):
  small = [f"--set=config.{name}={value}" for name, value in SMALL.items()]
  given = [f"--config={CONFIG}", f"--data={codes}", f"--out={out}"]
  return [*given, *small, *more]


def test_each_combination_is_trained_once_and_tabulated(
  codes, tmp_path, calls, capsys
):
  out = tmp_path / "sweep"
  given = arguments(
    codes,
    out,
    "--set=config.steps=2",
    "--set=config.model.embedding=table,codebook",
  )
  assert sweep.main([*given, "--print"]) == 0
  printed = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
  assert not calls
  assert not out.exists()

  # Simulate that the first of the two was stopped.
  (half, whole) = printed
  assert half[-1] == "--config.model.embedding=table"
  assert whole[-1] == "--config.model.embedding=codebook"
  assert half[0] == "stemgen-jax"
  sweep._call([sys.executable, "-P", "-m", "stemgen_jax", *half[1:]])
  log = out / "model.embedding=table" / "log.jsonl"
  lines = [x for x in read_log(log) if x["kind"] != "end"]
  log.write_text("".join(json.dumps(line) + "\n" for line in lines))
  capsys.readouterr()

  assert sweep.main(given) == 0
  assert calls == [half[1:], half[1:], whole[1:]]
  assert [x["step"] for x in read_log(log) if x["kind"] == "start"] == [0, 2]
  rows = json.loads((out / "table.json").read_text())
  assert [row["config.model.embedding"] for row in rows] == [
    "table",
    "codebook",
  ]
  for row in rows:
    folder = out / f"model.embedding={row['config.model.embedding']}"
    (valid,) = [
      x for x in read_log(folder / "log.jsonl") if x["kind"] == "validation"
    ]
    assert row["accuracy"] == valid["accuracy"]
    assert row["listening_gain"] == valid["listening_gain"]
    assert row["loss_per_level"] == valid["loss_per_level"]
    assert (row["reached"], row["best_step"], row["done"]) == (2, 2, True)
  table = (out / "table.md").read_text()
  assert capsys.readouterr().out.endswith(table)
  assert " batch 4, " in table.splitlines()[0]  # printed once for all runs
  assert "| model.embedding | reached | done | best_step | accuracy |" in table
  assert f"| codebook | 2 | yes | 2 | {rows[1]['accuracy']:.4g} |" in table

  # Nothing is left to train: another call only writes the table.
  assert sweep.main(given) == 0
  assert len(calls) == 3


def test_a_failed_run_ends_the_sweep_and_is_marked_in_the_table(
  codes, tmp_path, calls, capsys
):
  out = tmp_path / "sweep"
  given = arguments(codes, out, "--set=config.steps=0,1")
  assert sweep.main(given) == 1
  assert len(calls) == 1
  assert "1/2 steps=0: ended with exit code 1" in capsys.readouterr().err
  assert "| 0 | 0 | no | - |" in (out / "table.md").read_text()


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("config.seed=0,1", ("config.seed", ["0", "1"])),
    ("config.steps=400", ("config.steps", ["400"])),
    (
      "config.mask.level_weights=(0.5,0.5),()",
      ("config.mask.level_weights", ["(0.5,0.5)", "()"]),
    ),
    (
      "config.optimizer.frozen=('a,b',), ()",
      ("config.optimizer.frozen", ["('a,b',)", "()"]),
    ),
  ],
)
def test_values_are_split_outside_brackets(text, expected):
  assert sweep.parse(text) == expected


@pytest.mark.parametrize(
  ("more", "message"),
  [
    (["--set=config.seed"], "--set=config.seed: expected a flag"),
    (["--set=config.seed="], "expected a flag"),
    (["--set=config.seed=0,,1"], "expected a flag"),
    (["--set=--config.seed=0,1"], "expected a flag"),
    (["--set=config.seed=1,1"], "repeated value; expected each value once"),
    (
      ["--set=config.a=1", "--set=config.a=2"],
      "--set=config.a=...: already set",
    ),
    (["--set=out=here"], "--set=out=...: already set"),
    (
      ["--config.seed=0,1"],
      "flags of the runs are set by --set=config.seed=0,1",
    ),
    (
      ["--steps=1"],
      "--steps=1: unknown flag; flags of the runs are set by --set",
    ),
    (["--config=nowhere.py"], "--config=nowhere.py: no such file"),
  ],
)
def test_invalid_sweeps_are_refused(tmp_path, capsys, more, message):
  given = [f"--config={CONFIG}", "--data=x", f"--out={tmp_path / 'out'}"]
  with pytest.raises(SystemExit):
    sweep.main([*given, *more])
  assert message in capsys.readouterr().err
  assert not (tmp_path / "out").exists()


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_the_sweep_lets_the_run_save_first(tmp_path, number):
  run = (
    "import pathlib, signal, sys, time\n"
    "stop = []\n"
    "for n in (signal.SIGTERM, signal.SIGINT):\n"
    "  signal.signal(n, lambda *_: stop.append(1))\n"
    "pathlib.Path('begun').touch()\n"
    "while not stop: time.sleep(0.01)\n"
    "time.sleep(0.5)\n"
    "pathlib.Path('saved').touch()\n"
  )
  (tmp_path / "run.py").write_text(run)
  script = (
    "import runpy, sys\n"
    f"sweep = runpy.run_path({str(ROOT / 'launch/sweep.py')!r})\n"
    "sys.exit(sweep['_call']([sys.executable, 'run.py']))\n"
  )
  process = subprocess.Popen(
    [sys.executable, "-c", script], cwd=tmp_path, start_new_session=True
  )
  while not (tmp_path / "begun").exists():
    assert process.poll() is None
    time.sleep(0.05)
  if number == signal.SIGINT:  # a terminal signals the whole process group
    os.killpg(process.pid, number)
  else:
    process.send_signal(number)
  assert process.wait() == 0
  assert (tmp_path / "saved").exists()
