"""Files: whether they can be written, and written whole or not at all."""

import functools
import io
import json
import os
import zipfile

import numpy as np
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
  # `replacing` makes the folder.
  new = tmp_path / "new" / "deep" / "new.wav"
  assert check(new, False) == new
  assert not (tmp_path / "new").exists()
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
    with disk.replacing(path) as file:
      file.write(b"half of the new te")
      raise RuntimeError("killed")

  with pytest.raises(RuntimeError, match="killed"):
    broken_off()
  assert path.read_text() == "before"
  with disk.replacing(path) as file:
    file.write(b"after")
    assert path.read_text() == "before"
  assert path.read_text() == "after"
  assert os.listdir(tmp_path) == ["a.txt"]


def test_json_has_null_instead_of_nan(tmp_path):
  disk.write_json(tmp_path / "a.json", {"a": [1.5, float("nan")], "b": (2,)})
  read = json.loads((tmp_path / "a.json").read_text())
  assert read == {"a": [1.5, None], "b": [2]}


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("[" * 100_000, "more than 64 levels"),
    ('{"a":' * 65 + "1" + "}" * 65, "more than 64 levels"),
    ("[[]" + ",[]" * (1 << 21) + "]", "lists of JSON"),
    ('{"a": ' + "1" * 5000 + "}", "Exceeds the limit"),
    ("[1]", "expected a JSON object"),
    ("{", "Expecting"),
    ("\x00\x01", "Expecting"),
  ],
)
def test_json_within_limits(tmp_path, text, message):
  path = tmp_path / "a.json"
  path.write_text(text)
  with pytest.raises(ValueError, match=rf"a\.json is corrupt \(.*{message}"):
    disk.read_json(path, "fix it")


def test_a_log_leaves_out_what_is_not_an_object(tmp_path):
  path = tmp_path / "log.jsonl"
  path.write_bytes(b'{"a": 1}\n[2]\n\xff\n' + b"[" * 9999 + b'\n{"a": 3}\n{"a"')
  assert disk.read_log(path) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("[" * 3000, "maximum nesting depth"),
    ("- " * 900, "more than 64 levels"),
    ("a: &a [1]\nb: [*a, *a]", "alias"),
    ("!!python/object/apply:os.system ['true']", "could not determine"),
    ("a: " + "1" * (1 << 20), "bytes of YAML"),
    ("a: [", "while parsing"),
    ("a: 2000-99-99", "month must be"),
    ("? [1]\n: 2", "unhashable"),
  ],
)
def test_yaml_within_limits(tmp_path, text, message):
  path = tmp_path / "a.yaml"
  path.write_text(text)
  with pytest.raises(ValueError, match=rf"is corrupt \(.*{message}"):
    disk.read_yaml(path, "fix it")


@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_csv_of_spreadsheets(tmp_path, comma):
  path = tmp_path / "a.csv"
  rows = [["song", " b "], ["x", '"1\n2"'], [], ["y"]]
  text = "\r\n".join(comma.join(row) for row in rows)
  path.write_text(text, encoding="utf-8-sig", newline="")
  columns, found = disk.read_csv(path, "fix it")
  assert columns == ["song", "b"]
  assert found == [
    (3, {"song": "x", "b": "1\n2"}),
    (5, {"song": "y", "b": ""}),
  ]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    (b'a,b\n1,2\n3,"4\n5,6\n', "line 3: unexpected end of data"),
    (b'a,b\n1,"' + b"2\n" * 99_999, "line 2: field larger than"),
    (b"a,b\n1,2,3\n", "line 2: 3 values in 2 columns"),
    (b'a,b\n"1"x,2\n', "line 2: "),
  ],
)
def test_csv_errors_have_the_line(tmp_path, text, message):
  path = tmp_path / "a.csv"
  path.write_bytes(text)
  with pytest.raises(ValueError, match=rf"is corrupt \({message}"):
    disk.read_csv(path, "fix it")


def test_csv_of_another_encoding(tmp_path):
  (tmp_path / "a.csv").write_bytes(b"a,b\n\xff,2\n")
  with pytest.raises(ValueError, match=r"a.csv is not UTF-8 text: save it"):
    disk.read_csv(tmp_path / "a.csv", "save it")


def test_arrays_within_limits(tmp_path):
  path = tmp_path / "a.npz"
  np.savez_compressed(path, a=np.zeros((1 << 28) + 1, np.int8))
  with pytest.raises(ValueError, match="its arrays have more than 268435456"):
    disk.read_npz(path, "fix it")
  with disk.replacing(path) as partial, zipfile.ZipFile(partial, "w") as file:
    file.writestr("a", b"no array")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
      header, {"descr": "<u2", "fortran_order": False, "shape": (40 << 40,)}
    )
    file.writestr("b.npy", header.getvalue())
  with pytest.raises(ValueError, match="is corrupt"):
    disk.read_npz(path, "fix it", ["b"])
  with pytest.raises(ValueError, match="a is not an array"):
    disk.read_npz(path, "fix it", ["a"])
