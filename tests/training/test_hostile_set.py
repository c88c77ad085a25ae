"""A data set that wants to run code of its own."""

import json
import os
import shutil

import commands
import pytest

from stemgen_jax.data.manifest import Manifest

pytestmark = pytest.mark.processes

# Prints the modules of a folder that a process has imported, at its end.
HOOK = """
import atexit, os, sys

@atexit.register
def report():
  for name, module in list(sys.modules.items()):
    path = str(getattr(module, "__file__", None) or "")
    if path.startswith(os.environ["HOSTILE"]):
      print("IMPORTED", name, path, file=sys.stderr)
"""
# Modules that jax and others look for, and that need not be installed.
SOUGHT = ("cv2", "jax_cuda12_plugin", "jax_plugins", "libtpu", "nvidia")


@pytest.mark.parametrize("hostile", [True, False])
def test_no_module_of_a_set_or_of_the_working_directory_is_imported(
  codes, tmp_path, monkeypatch, hostile
):
  hooks, here = tmp_path / "hooks", tmp_path / "here"
  hooks.mkdir()
  (hooks / "sitecustomize.py").write_text(HOOK)
  shutil.copytree(codes, here / "data")
  for name in (*SOUGHT, "data/readme", "data/__init__"):
    path = here / f"{name}.py"
    path.write_text(f"import sys; print('IMPORTED {name}', file=sys.stderr)")
  if hostile:
    records = here / "data" / Manifest.load(codes).records
    features = json.loads((records / "features.json").read_text())
    features["pythonClassName"] = "data.readme.Thing"
    (records / "features.json").write_text(json.dumps(features))
    manifest = json.loads((here / "data/manifest.json").read_text())
    del manifest["checksums"], manifest["description_checksum"]
    (here / "data/manifest.json").write_text(json.dumps(manifest))
  monkeypatch.chdir(here)
  training = commands.Training(
    "data",
    tmp_path / "run",
    "--config.steps=1",
    PYTHONPATH=f"{hooks}{os.pathsep}{commands.ROOT}",
    HOSTILE=str(here),
  )
  code, _, err = training.end(120)
  assert "IMPORTED" not in err
  if hostile:
    assert code == 1
    assert len(err.splitlines()) == 2  # and that there are no checksums
    assert "names the feature 'data.readme.Thing'; expected one of" in err
  else:
    assert code == 0, err
