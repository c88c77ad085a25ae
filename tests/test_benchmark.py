"""The benchmark's parts, as short as can be."""

import pathlib
import subprocess
import sys

BENCHMARK = pathlib.Path(__file__).parents[1] / "launch/benchmark.py"


def test_batches_are_counted_against_what_a_gpu_eats():
  done = subprocess.run(
    [sys.executable, BENCHMARK, "batches", "--seconds=0.2"],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert "examples/s of 1000 frames" in done.stdout
  assert "eats 226 examples/s on one H100" in done.stdout
