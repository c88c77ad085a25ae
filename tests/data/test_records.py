import json
import os
import shutil
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny

from stemgen_jax.data import records
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import pairs, prepare


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "codes"
  config = pairs.PairConfig(segment_seconds=4.0, pairs=3)
  prepare.prepare(tiny.Sines(), tiny.FrameEnergies, out, config)
  return out


def test_records_are_those_of_tfds(prepared):
  folder = prepared / Manifest.load(prepared).records
  builder: Any = tfds.builder_from_directory(folder)
  expected = builder.as_data_source("train")
  found = records.Records(prepared, "train")
  assert len(found) == len(expected) > 0
  for index, record in enumerate(expected):
    assert found[index].keys() == record.keys()
    for name, value in record.items():
      np.testing.assert_array_equal(found[index][name], value)
      assert np.asarray(found[index][name]).dtype == np.asarray(value).dtype


def unsealed(out):
  """A data set as an attacker, or an earlier version, describes it."""
  path = out / "manifest.json"
  fields = json.loads(path.read_text())
  del fields["checksums"], fields["description_checksum"]
  path.write_text(json.dumps(fields))


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("checksums", []),
    ("checksums", {}),
    ("checksums", {"/dev/zero": ""}),
    ("checksums", {"../secret": ""}),
    ("records", ".."),
    ("records", "/"),
    ("records", None),
  ],
)
def test_checksums_are_of_files_of_the_data_set_alone(
  prepared, tmp_path, field, value
):
  out = tmp_path / "codes"
  shutil.copytree(prepared, out)
  path = out / "manifest.json"
  fields = json.loads(path.read_text())
  del fields["description_checksum"]
  if isinstance(value, dict) and value:
    value |= fields["checksums"]
  path.write_text(json.dumps(fields | {field: value}))
  with pytest.raises(ValueError, match="corrupt"):
    Manifest.load(out)


def test_a_pipe_among_the_files_is_refused(prepared, tmp_path):
  out = tmp_path / "codes"
  shutil.copytree(prepared, out)
  (out / "silence.npy").unlink()
  os.mkfifo(out / "silence.npy")
  with pytest.raises(ValueError, match=r"silence\.npy is not a regular file"):
    Manifest.load(out)


def top(features, name):
  features["pythonClassName"] = name


def snake_case(features, name):
  del features["pythonClassName"]
  features["python_class_name"] = name


def nested(features, name):
  features["featuresDict"]["features"]["stem"]["pythonClassName"] = name


def legacy(features, name):
  features.clear()
  features.update(type=name, content={}, proto_cls="")


def in_a_string(features, name):
  del features["featuresDict"]
  content = {"stem": {"type": name, "content": {}}}
  features["jsonFeature"] = {"json": json.dumps(content)}


@pytest.mark.parametrize(
  "change", [top, snake_case, nested, legacy, in_a_string]
)
def test_features_cannot_import_a_module(
  prepared, tmp_path, monkeypatch, change
):
  out = tmp_path / "hostile_codes"
  shutil.copytree(prepared, out)
  (out / "readme.py").write_text("raise SystemExit('imported')")
  path = out / Manifest.load(out).records / "features.json"
  features = json.loads(path.read_text())
  change(features, "hostile_codes.readme.Thing")
  path.write_text(json.dumps(features))
  with pytest.raises(ValueError, match=r"features\.json has sha256"):
    records.Records(out, "train")
  unsealed(out)
  monkeypatch.syspath_prepend(tmp_path)
  message = r"features\.json names the feature .*hostile_codes\.readme\.Thing"
  with pytest.raises(ValueError, match=message):
    records.Records(out, "train")
  assert "hostile_codes.readme" not in sys.modules


@pytest.mark.parametrize(
  "change",
  [
    {"fileFormat": "parquet"},
    {"name": "../songs"},
    {"splits": [{"name": "train", "filepathTemplate": "/etc/{SPLIT}"}]},
    {"splits": None},
  ],
)
def test_records_are_files_of_their_folder(prepared, tmp_path, change):
  shutil.copytree(prepared, tmp_path / "codes")
  path = tmp_path / "codes" / Manifest.load(prepared).records
  path = path / "dataset_info.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | change))
  unsealed(tmp_path / "codes")
  with pytest.raises(ValueError, match=r"dataset_info\.json (names|has)"):
    records.Records(tmp_path / "codes", "train")
