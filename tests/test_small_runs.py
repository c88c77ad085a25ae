"""Checkpoints of small runs, also those of earlier versions."""

import hashlib
import json

import numpy as np
import pytest
import safetensors.torch
import torch

from stemgen_jax import small_runs

TENSORS = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.tensor(7)}


def write(folder, metadata):
  tensors = {name: x.contiguous() for name, x in TENSORS.items()}
  path = folder / small_runs.CHECKPOINT
  safetensors.torch.save_file(tensors, path, metadata)


def test_checkpoints_of_earlier_versions_are_read(tmp_path, capsys):
  assert small_runs.steps_done(tmp_path) == 0
  digest = hashlib.sha256()
  for text, array in (
    ("a torch.int64 []", np.int64(7)),
    ("b torch.float32 [3, 2]", np.array([[0, 3], [1, 4], [2, 5]], "f4")),
  ):
    digest.update(text.encode() + array.tobytes())
  old = {"step": 3, "config": {}}
  current = json.loads(small_runs.metadata(old, TENSORS)["progress"])
  assert current["checksum"] == digest.hexdigest()
  for state in (old, old | {"checksum": digest.hexdigest()}, current):
    write(tmp_path, {"progress": json.dumps(state)})
    found, tensors = small_runs.read(tmp_path, "pt")
    assert found["step"] == small_runs.steps_done(tmp_path) == 3
    assert torch.equal(tensors["b"], TENSORS["b"])
  assert "has no checksum" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"step": 4}, {"checksum": "0" * 64}])
def test_a_changed_checkpoint_is_named(change, tmp_path):
  state = json.loads(small_runs.metadata({"step": 3}, TENSORS)["progress"])
  write(tmp_path, {"progress": json.dumps(state | change)})
  with pytest.raises(ValueError, match=r"checkpoint\.safetensors is corrupt"):
    small_runs.read(tmp_path, "pt")
