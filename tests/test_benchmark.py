"""The parts of the benchmark, each as short as possible."""

import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest
import small_weights

pytestmark = pytest.mark.processes

BENCHMARK = pathlib.Path(__file__).parents[1] / "launch/benchmark.py"


def test_batches_are_compared_with_the_consumption_of_a_gpu():
  done = subprocess.run(
    [sys.executable, BENCHMARK, "batches", "--seconds=0.2"],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert "examples/s of 1000 frames" in done.stdout
  assert "consumes 226 examples/s on one H100" in done.stdout


def test_models_are_compared_with_pytorch_and_another_checkout():
  done = subprocess.run(
    [
      sys.executable,
      BENCHMARK,
      "model",
      "--sizes=2x32",
      "--dtypes=float32,bfloat16",
      "--rounds=1",
      "--seconds=0",
      "--gemm=64",
      f"--baseline={BENCHMARK.parents[1]}",
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  rows = [
    line.strip("| ").split(" | ")
    for line in done.stdout.splitlines()
    if line.startswith("| 2x32 ")
  ]
  assert [[row[1][:7], *row[2:5]] for row in rows] == [
    ["forward", "ours (auto)", "float32", ""],
    ["forward", "torch", "float32", ""],
    ["forward", "ours", "bfloat16", ""],
    ["forward", "torch", "bfloat16", ""],
    ["forward", "baseline (auto)", "float32", ""],
    ["train, ", "ours (auto)", "float32", "adamw"],
    ["train, ", "ours (auto)", "float32", "muon"],
    ["train, ", "torch", "float32", "adamw"],
    ["train, ", "ours", "bfloat16", "adamw"],
    ["train, ", "ours", "bfloat16", "muon"],
    ["train, ", "torch", "bfloat16", "adamw"],
    ["train, ", "baseline (auto)", "float32", "muon"],
  ]
  for row in rows:
    median, fastest, *_, torch, baseline, memory = row[5:]
    assert 0 < float(fastest) <= float(median)
    assert (float(torch) == 1) == (row[2] == "torch")
    assert float(baseline) > 0
    assert float(memory) > 0


def test_codecs_are_timed_and_random_weights_are_reported(tmp_path):
  done = subprocess.run(
    [
      sys.executable,
      BENCHMARK,
      "codec",
      "--codecs=demo,encodec_24khz",
      "--seconds=0.2",
      "--threads=1",
    ],
    capture_output=True,
    text=True,
    check=False,
    env=os.environ | {"STEMGEN_JAX_CACHE": str(tmp_path)},
  )
  assert done.returncode == 0, done.stderr
  _, demo, published = done.stdout.splitlines()
  assert demo.startswith("demo ")
  assert demo.endswith("trained")
  assert published.startswith("encodec_24khz ")
  assert "random" in published
  assert all(float(factor) > 0 for factor in demo.split()[2:4])


def test_kernels_move_fewer_bytes_than_the_plain_path():
  done = subprocess.run(
    [sys.executable, BENCHMARK, "kernels"],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  rows = [
    line.strip("| ").split(" | ") for line in done.stdout.splitlines()[3:]
  ]
  assert len(rows) == 12
  for row in rows:
    plain, counted, kernel, inside = map(float, row[3:])
    # `plain` is a lower bound of the bytes that the plain path moves.
    assert counted >= 0.8 * plain
    assert inside < kernel < plain


def test_batched_takes_agree_with_single_takes():
  done = subprocess.run(
    [sys.executable, BENCHMARK, "agreement", "--takes=2", "--steps=1"],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  first, *levels = done.stdout.splitlines()
  assert first.startswith("2 takes of 400 frames on cpu: ")
  assert len(levels) == 4
  assert all(float(line.split()[2]) > 99 for line in levels)


def test_live_scenes_have_no_drift(tmp_path):
  weights = tmp_path / "small.safetensors"
  small_weights.save(weights)
  done = subprocess.run(
    [
      *(sys.executable, BENCHMARK, "live", "--simulate", "--preset=fast"),
      *(f"--weights={weights}", "--minutes=1.02", "--seconds=14"),
      "--scenes=steady,stall,slow",
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  rows = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in done.stdout.splitlines()
    if line.startswith("| s")
  ]
  header, steady, stall, slow = (dict(zip(rows[0], row)) for row in rows)
  assert list(header) == list(header.values())
  # From 4 s on every 4 s; the last one is requested, but does not enter.
  assert steady["chunks"] == "15"
  assert [x["drift"] for x in (steady, stall, slow)] == ["0, 0.0"] * 3
  assert int(stall["late"]) >= 1
  behind = [float(x["behind s"]) for x in (steady, stall, slow)]
  assert behind == [0.0, 0.0, pytest.approx(14 / 0.8 - 14, abs=0.1)]
  first, last = map(int, steady["MB"].split(", "))
  assert 0 < first <= last


def test_detection_prints_shares_of_correct_tempi_and_keys():
  done = subprocess.run(
    [sys.executable, BENCHMARK, "detection", "--songs=3", "--seconds=6"],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  for line, kind in zip(lines, ("mix", "without drums"), strict=True):
    assert line.startswith(f"{kind}, 3 songs of 6 s: tempo ")
    assert line.count("%") == 7


_CHECKOUT = """
import json, pathlib, sys
import numpy as np
from stemgen_jax import audio

name = pathlib.Path(__file__).parents[1].name
with open(pathlib.Path(__file__).parents[2] / "log", "a") as log:
  log.write(name + " ")
[out] = [x.partition("=")[2] for x in sys.argv if x.startswith("--out=")]
silence = audio.Audio(np.zeros((8, 1), np.float32), 8000)
cost = {"seconds_to_load": 0.25}
audio.write(out, silence, metadata={"cost": cost}, overwrite=True)
"""


def test_first_sounds_of_two_checkouts_alternate(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(BENCHMARK.parent)
  first_sound = importlib.import_module("benchmarks.first_sound")

  roots = {}
  for name in ("ours", "baseline"):
    roots[name] = tmp_path / name
    package = roots[name] / "stemgen_jax"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(_CHECKOUT)
    real = BENCHMARK.parents[1] / "stemgen_jax"
    # The rest of the package is the real one.
    (package / "__init__.py").write_text(f"__path__.append({str(real)!r})")
  printed = first_sound.table(roots, ["fast"], 1, tmp_path / "caches")
  assert (tmp_path / "log").read_text() == "ours baseline ours baseline "
  header, _, *rows = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in printed.splitlines()
  ]
  ours, baseline = (dict(zip(header, row, strict=True)) for row in rows)
  assert (ours["code"], baseline["code"]) == ("ours", "baseline")
  assert baseline["x baseline"] == "1.00"
  ratio = float(ours["min s"]) / float(baseline["min s"])
  assert abs(float(ours["x baseline"]) - ratio) < 0.05
  load = float(ours["load"].removesuffix("%"))
  assert abs(load - 25 / float(ours["min s"])) < 5
  assert ours["x default"] == ""
  assert ours["import"] == ""


def test_scaling_is_planned_and_losses_are_equal(tmp_path):
  config = tmp_path / "toy.py"
  config.write_text(
    "from stemgen_jax.model import ModelConfig\n"
    "from stemgen_jax.training.config import TrainConfig\n"
    "def get_config():\n"
    "  shape = dict(depth=2, width=32, heads=2, mlp=32, window=16, codes=64)\n"
    "  shape |= dict(scale_frames=4, frame_rate=150 / 0.99)\n"
    "  return TrainConfig(model=ModelConfig(**shape))\n"
  )
  flags = ["--devices=1,2", "--batch=4", "--per_device=2", "--hardware=v5e"]
  done = subprocess.run(
    [sys.executable, BENCHMARK, "scaling", f"--config={config}", *flags],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  rows = [
    line.strip("| ").split(" | ")
    for line in done.stdout.splitlines()
    if line.startswith(("| strong", "| weak"))
  ]
  costs, times, losses = rows[:4], rows[4:8], rows[8:]
  assert [row[:3] for row in costs] == [
    ["strong", "1", "4"],
    ["strong", "2", "4"],
    ["weak", "1", "2"],
    ["weak", "2", "4"],
  ]
  assert [row[5] == "none" for row in costs] == [True, False, True, False]
  assert all("all-gather" in row[5] for row in costs[1::2])
  for row in times:
    least, best = map(int, re.findall(r"\d+", row[2].split(", ")[1]))
    assert 0 < least <= best <= 100
    assert (least == 100) == (row[1] == "1")
  for row in losses:
    first, *_, last = map(float, row[3].split())
    assert abs(last - first) > 1e-3  # it has learned
    assert float(row[4]) < 1e-5
