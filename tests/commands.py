"""`stemgen-jax train` in a separate process, on codes of two levels."""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np

from stemgen_jax.training.checkpoint import Checkpoints, state_like
from stemgen_jax.training.metrics import read_log

ROOT = pathlib.Path(__file__).parents[1]
_FIELDS = {
  "model.width": 16,
  "model.depth": 1,
  "model.heads": 2,
  "model.mlp": 16,
  "model.window": 20,
  "mask.level_weights": "(0.7, 0.3)",
  "batch": 4,
  "log_every": 1,
  "save_every": 3,
  "validate_every": 0,
  "listen_every": 0,
}


class Training:
  """The command, running.

  Args:
    data: Prepared codes.
    out: Folder of the run.
    *flags: Further ones.
    devices: Simulated, of this process.
    **environment: Further variables.
  """

  def __init__(self, data, out, *flags, devices=1, **environment):
    self.out = pathlib.Path(out)
    fields = {f"--config.{name}": value for name, value in _FIELDS.items()}
    for flag in flags:  # replaces a field: absl would append to a tuple
      fields.pop(flag.split("=")[0], None)
    argv = [f"{name}={value}" for name, value in fields.items()]
    default = f"--config={ROOT / 'configs/demo.py'}"
    config = [x for x in flags if x.startswith("--config=")] or [default]
    flags = [x for x in flags if x not in config]
    alone = {
      "JAX_NUM_CPU_DEVICES": str(devices),
      "JAX_PLATFORMS": "cpu",
      "PYTHONPATH": str(ROOT),
    }
    self.process = subprocess.Popen(
      [
        sys.executable,
        "-m",
        "stemgen_jax",
        "train",
        *config,  # before its fields
        f"--data={data}",
        f"--out={out}",
        *argv,
        *flags,
      ],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env=os.environ | alone | environment,
    )

  def end(self, timeout=600):
    """Exit code and what was printed, both streams."""
    out, err = self.process.communicate(timeout=timeout)
    return self.process.returncode, out, err

  def wait_for(self, condition, timeout=600):
    """Wait for a condition; False if the command ended before."""
    until = time.monotonic() + timeout
    while not condition():
      if self.process.poll() is not None:
        return False
      assert time.monotonic() < until
      time.sleep(0.002)
    return True

  def steps(self):
    """The step that its log has come to."""
    lines = read_log(self.out / "log.jsonl")
    return max((x["step"] for x in lines if x["kind"] == "train"), default=0)

  def is_saving(self):
    """Whether a checkpoint is half written."""
    folder = self.out / "checkpoints"
    return folder.is_dir() and any(
      not path.name.isdigit() for path in folder.iterdir()
    )


def trained(out):
  """Losses by step, position in the data, and state of a run."""
  losses = {
    line["step"]: line["loss"]
    for line in read_log(pathlib.Path(out) / "log.jsonl")
    if line["kind"] == "train"
  }
  with Checkpoints(out) as checkpoints:
    step, about = checkpoints.about()
    state = checkpoints.load(step, state_like(about.config))
  return losses, about.position, state


def assert_same_run(out, expected):
  """Losses, data order and state are the same to the bit."""
  losses, position, state = trained(out)
  expected_losses, expected_position, expected_state = trained(expected)
  assert losses == expected_losses
  assert position == expected_position
  assert_same(state, expected_state)


def assert_same(state, expected):
  """Two trees of arrays are the same to the bit."""
  import jax

  jax.tree.map(np.testing.assert_array_equal, state, expected)
