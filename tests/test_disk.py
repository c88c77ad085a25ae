"""Files: whether they can be written, and written whole or not at all."""

import functools
import json
import os

import pytest

from stemgen_jax import disk


def test_check_writable(tmp_path, monkeypatch):
  (tmp_path / "there.wav").write_bytes(b"precious")
  check = functools.partial(disk.check_writable, suffixes=(".wav", ".flac"))
  assert check(tmp_path / "new.flac", False) == tmp_path / "new.flac"
  assert check(tmp_path / "there.wav", True) == tmp_path / "there.wav"
  with pytest.raises(FileExistsError, match="--overwrite"):
    check(tmp_path / "there.wav", False)
  with pytest.raises(ValueError, match=r"expected \.wav or \.flac"):
    check(tmp_path / "new.mp3", False)
  with pytest.raises(FileNotFoundError, match="no such folder"):
    check(tmp_path / "nowhere" / "new.wav", False)
  with pytest.raises(NotADirectoryError, match=r"there\.wav is a file"):
    check(tmp_path / "there.wav" / "deep" / "new.wav", False)
  with pytest.raises(IsADirectoryError):
    check(tmp_path, False)

  # Permission bits do not stop root: simulate the refusal.
  def refuse(*args, **kwargs):
    raise PermissionError(13, "Permission denied")

  monkeypatch.setattr("pathlib.Path.touch", refuse)
  with pytest.raises(PermissionError, match="cannot write to"):
    check(tmp_path / "new.wav", False)
  assert os.listdir(tmp_path) == ["there.wav"]
  assert (tmp_path / "there.wav").read_bytes() == b"precious"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("before")

  def broken_off():
    with disk.replacing(path) as partial:
      partial.write_text("half of the new te")
      raise RuntimeError("killed")

  with pytest.raises(RuntimeError, match="killed"):
    broken_off()
  assert path.read_text() == "before"
  with disk.replacing(path) as partial:
    partial.write_text("after")
    assert path.read_text() == "before"
  assert path.read_text() == "after"
  assert os.listdir(tmp_path) == ["a.txt"]


def test_json_has_null_instead_of_nan(tmp_path):
  disk.write_json(tmp_path / "a.json", {"a": [1.5, float("nan")], "b": (2,)})
  read = json.loads((tmp_path / "a.json").read_text())
  assert read == {"a": [1.5, None], "b": [2]}
