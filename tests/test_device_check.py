"""The check for GPUs: all its parts at toy size, and parts that fail."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

LAUNCH = pathlib.Path(__file__).parents[1] / "launch"
# Packages of the project that the check may not need.
BLOCKED = """
import sys

class Blocker:
  def find_spec(self, name, path=None, target=None):
    if name.partition(".")[0] in {
      "array_record", "grain", "jaxtyping", "matplotlib", "ml_collections",
      "platformdirs", "soundfile", "soxr", "tensorflow_datasets", "tqdm",
    }:
      raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""
# Stand-ins for jax and for the modules of the parts.
STUBS = {
  "jax.py": """
import types
client = types.SimpleNamespace(platform_version="cuda 13")
def devices():
  return [types.SimpleNamespace(device_kind="NVIDIA H200", client=client)]
def default_backend():
  return "gpu"
""",
  "device_training.py": """
import os, signal, time
from device_parts import figure
def plan(tiny):
  assert os.environ["JAX_PLATFORMS"] == "cpu"
  assert os.environ["DEVICE_CHECK_KIND"] == "NVIDIA H200"
  yield figure("seconds per step", 0.5, "s")
def attention(tiny):
  yield figure("error", 0.25, "of the maximum")
  raise ValueError("no such kernel")
def train_step(tiny):
  yield figure("seconds per step", 0.75, "s")
def loss(tiny):
  yield figure("loss at each step", [2.0, 1.0], "nats", dtype="float32")
  time.sleep(600)
def train_step_fused(tiny):
  os.kill(os.getpid(), signal.SIGKILL)
""",
  "device_sampling.py": """
def stems(tiny):
  yield from ()
kernel = stems
agreement = stems
def codec(tiny):
  import encodec_that_is_missing
  yield
""",
}


def check(script, folder, *arguments, **environment):
  return subprocess.run(
    [script, "--out=found.json", *arguments],
    cwd=folder,
    env=os.environ | {"PYTHON": sys.executable} | environment,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture
def stubbed(tmp_path):
  """The script with parts of its own, in a folder launch/."""
  folder = tmp_path / "launch"
  folder.mkdir()
  for name in ("device_check.sh", "device_check.py", "device_parts.py"):
    shutil.copy(LAUNCH / name, folder / name)
  for name, text in STUBS.items():
    (folder / name).write_text(text)
  return folder / "device_check.sh"


def test_every_part_runs_at_toy_size_with_few_packages(tmp_path):
  (tmp_path / "sitecustomize.py").write_text(BLOCKED)
  paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
  done = check(
    LAUNCH / "device_check.sh",
    tmp_path,
    "--tiny",
    PYTHONPATH=os.pathsep.join(filter(None, paths)),
  )
  assert done.returncode == 0, done.stdout + done.stderr
  found = json.loads((tmp_path / "found.json").read_text())
  assert found["device"]["backend"] == "cpu"
  assert found["device"]["versions"]["jax"][:2] == "0."
  parts = found["parts"]
  assert set(parts) == {
    *("plan", "attention", "train_step", "train_step_fused", "loss"),
    *("stems", "agreement", "kernel", "codec"),
  }

  def values(part, *words):
    return [
      x["value"]
      for x in parts[part]["figures"]
      if all(word in x["name"] for word in words)
    ]

  errors = values("attention", "error of")
  assert len(errors) == 2 * 2 * 4  # cases, forms; values and three gradients
  assert 0 < max(errors) < 0.03
  one, other = values("loss", "loss at each step")
  assert len(one) == len(other) == 20
  assert one[-1] < one[0]
  assert 0 < values("loss", "largest difference")[0] < 0.01
  stems = [x for x in parts["stems"]["figures"] if "per stem" in x["name"]]
  assert [(x["preset"], x["takes"]) for x in stems] == [
    (preset, takes)
    for takes in (1, 2)
    for preset in ("fast", "default", "paper")
  ]
  assert all(x["value"] > 0 and x["unit"] == "s" for x in stems)
  # On a CPU all of these agree.
  assert values("agreement", "alone and in a batch") == [2]
  assert set(values("kernel", "equal codes")) == {1.0}
  assert set(values("codec", "equal codes, level")) == {1.0}
  assert values("codec", "codes in use")[0] > 30
  for part in ("train_step", "train_step_fused"):
    assert values(part, "seconds per step")[0] > 0
  # The table has the same figures.
  assert "largest difference of the losses" in done.stdout
  assert "seconds per step, of the plan's" not in done.stdout  # no GPU's plan


def test_a_cpu_is_refused_in_one_line(tmp_path):
  done = check(LAUNCH / "device_check.sh", tmp_path, JAX_PLATFORMS="cpu")
  assert done.returncode == 2
  assert done.stderr.count("\n") == 1
  assert "runs on cpu: expected an NVIDIA GPU" in done.stderr
  assert not (tmp_path / "found.json").exists()


def test_parts_that_fail_are_named_and_stop_no_other(stubbed, tmp_path):
  script = stubbed.with_name("device_check.py")
  text = script.read_text().replace(
    "_LEAST_SECONDS = 15.0", "_LEAST_SECONDS = 0"
  )
  script.write_text(text)
  parts_file = stubbed.with_name("device_parts.py")
  text = parts_file.read_text().replace('"loss", 90)', '"loss", 1)')
  parts_file.write_text(text)
  done = check(stubbed, tmp_path)
  assert done.returncode == 1, done.stderr
  found = json.loads((tmp_path / "found.json").read_text())
  parts = found["parts"]
  assert {x: part["status"] for x, part in parts.items()} == {
    "attention": "failed",
    "train_step": "done",
    "loss": "incomplete",
    "stems": "done",
    "kernel": "done",
    "codec": "failed",
    "agreement": "done",
    "train_step_fused": "not run",
    "plan": "done",
  }
  assert parts["attention"]["reason"] == "ValueError: no such kernel"
  assert parts["attention"]["figures"][0]["value"] == 0.25
  assert parts["loss"]["reason"].startswith("stopped after")
  assert parts["loss"]["figures"][0]["value"] == [2.0, 1.0]
  assert "encodec_that_is_missing" in parts["codec"]["reason"]
  assert "code -9" in parts["train_step_fused"]["reason"]
  (compared,) = found["comparison"]
  assert compared["value"] == 1.5
  for name in parts:
    assert f"\n{name}: " in done.stdout


def test_parts_are_named_when_the_time_is_over(stubbed, tmp_path):
  done = check(stubbed, tmp_path, "--seconds=14", "--parts=attention,codec")
  assert done.returncode == 1, done.stderr
  parts = json.loads((tmp_path / "found.json").read_text())["parts"]
  assert {part["status"] for part in parts.values()} == {"not run"}
  assert "14 s of --seconds were over" in parts["codec"]["reason"]


def test_unknown_parts_are_refused(stubbed, tmp_path):
  done = check(stubbed, tmp_path, "--parts=atention")
  assert done.returncode == 2
  assert "--parts=atention: expected some of plan" in done.stderr
