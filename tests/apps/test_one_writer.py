"""Every command: one writer of its output, and no folder if it is refused."""

import os

import pytest

from stemgen_jax import locks
from stemgen_jax.cli import dispatch

pytestmark = pytest.mark.processes


@pytest.fixture
def commands(tmp_path):
  """Name of a command -> its arguments without the output."""
  (tmp_path / "run" / "checkpoints").mkdir(parents=True)
  for suffix in ("safetensors", "json"):
    (tmp_path / f"corrupt.{suffix}").write_text("{}")
  (tmp_path / "songs" / "song").mkdir(parents=True)
  weights = f"--weights={tmp_path / 'corrupt.safetensors'}"
  return {
    "prepare": ("--source=folder", f"--root={tmp_path / 'songs'}"),
    "train_codec": ("--report", "--songs=1"),
    "export": (f"--run={tmp_path / 'run'}",),
    "generate": ("--seconds=2", weights),
    "evaluate": ("--what=listening", weights),
  }


FOLDERS = ("prepare", "train_codec", "evaluate")


@pytest.mark.parametrize(
  "name", ["prepare", "train_codec", "export", "generate", "evaluate"]
)
def test_a_refused_command_leaves_no_folder(name, commands, tmp_path, capfd):
  suffix = {"export": ".safetensors", "generate": ".wav"}.get(name, "")
  out = tmp_path / "new" / "deep" / f"out{suffix}"
  before = set(tmp_path.rglob("*"))
  arguments = [name, *commands[name], f"--out={out}"]
  assert dispatch.main(arguments) == 1
  err = capfd.readouterr().err
  assert "stemgen-jax: error: " in err
  assert set(tmp_path.rglob("*")) == before
  if name == "evaluate":  # Its processes share the work.
    return
  with locks.only_writer(out, folder=name in FOLDERS):
    assert dispatch.main(arguments) == 1
    (line,) = capfd.readouterr().err.splitlines()[-1:]
    expected = f"{out}: process {os.getpid()} on "
    assert line.startswith(f"stemgen-jax: error: {expected}")
  assert set(tmp_path.rglob("*")) == before


def test_export_keeps_what_another_has_just_written(
  commands, tmp_path, monkeypatch, capfd
):
  out, lock = tmp_path / "out.safetensors", locks.only_writer

  def late(path):
    out.write_text("of the other")
    return lock(path)

  monkeypatch.setattr(locks, "only_writer", late)
  assert dispatch.main(["export", *commands["export"], f"--out={out}"]) == 1
  assert f"{out} exists" in capfd.readouterr().err
  assert out.read_text() == "of the other"
