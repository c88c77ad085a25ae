import dataclasses
import json

import jax
import numpy as np
import pytest

from stemgen_jax.model import (
  ModelConfig,
  init_params,
  load_weights,
  save_weights,
)

CONFIG = ModelConfig(
  levels=2,
  codes=8,
  width=16,
  depth=1,
  heads=2,
  mlp=16,
  window=4,
  embedding="codebook",
  latent=3,
  codec="demo",
  codec_checksum="abc123",
)


@pytest.fixture
def saved(tmp_path):
  path = tmp_path / "model.safetensors"
  params = init_params(CONFIG, jax.random.key(0))
  save_weights(path, CONFIG, params, {"steps": 7, "categories": ["bass"]})
  return path


def test_round_trip_is_exact(saved):
  weights = load_weights(saved)
  assert weights.config == CONFIG
  assert weights.metadata == {"steps": 7, "categories": ["bass"]}
  params = init_params(CONFIG, jax.random.key(0))
  jax.tree.map(np.testing.assert_array_equal, weights.params, params)


def test_the_form_of_attention_is_not_loaded(tmp_path):
  # Trained on a GPU with cuDNN, used on a laptop.
  config = dataclasses.replace(CONFIG, attention="cudnn", dtype="bfloat16")
  path = tmp_path / "model.safetensors"
  save_weights(path, config, init_params(CONFIG, jax.random.key(0)), {})
  assert load_weights(path).config.attention == "auto"


def test_weights_are_readable_as_other_files_are(saved):
  plain = saved.with_suffix(".json")
  assert saved.stat().st_mode == plain.stat().st_mode


def test_half_precision_is_half_the_size_and_near(saved, tmp_path):
  half = tmp_path / "half.safetensors"
  params = init_params(CONFIG, jax.random.key(0))
  save_weights(half, CONFIG, params, {}, dtype="float16")
  assert half.stat().st_size < 0.75 * saved.stat().st_size
  loaded = load_weights(half).params
  assert {str(x.dtype) for x in jax.tree.leaves(loaded)} == {"float32"}
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, atol=1e-3), loaded, params
  )
  np.testing.assert_array_equal(
    loaded["embedding"]["codebooks"], params["embedding"]["codebooks"]
  )


def test_another_codec_is_refused(saved):
  weights = load_weights(saved)
  weights.check_codec("demo", "abc123")
  with pytest.raises(ValueError, match="trained on codes of codec 'demo'"):
    weights.check_codec("demo", "fff")


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_missing_file_is_named(saved, suffix):
  saved.with_suffix(suffix).unlink()
  with pytest.raises(FileNotFoundError, match=rf"no weights at .*{suffix}"):
    load_weights(saved)


def test_truncated_weights_are_named(saved):
  saved.write_bytes(saved.read_bytes()[:-10])
  with pytest.raises(ValueError, match=r"model\.safetensors is corrupt"):
    load_weights(saved)


def test_truncated_description_is_named(saved):
  text = saved.with_suffix(".json").read_text()
  saved.with_suffix(".json").write_text(text[:30])
  with pytest.raises(ValueError, match=r"model\.json is corrupt"):
    load_weights(saved)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"mood": 1}, "not a model of this version"),
    ({"heads": 3}, "not a model of this version"),
    ({"depth": 2}, "does not belong to"),
  ],
)
def test_description_of_something_else(saved, changes, message):
  path = saved.with_suffix(".json")
  about = json.loads(path.read_text())
  about["config"] |= changes
  path.write_text(json.dumps(about))
  with pytest.raises(ValueError, match=r"model\.json is corrupt"):
    load_weights(saved)
  del about["description_checksum"]
  path.write_text(json.dumps(about))
  with pytest.raises(ValueError, match=message):
    load_weights(saved)


def test_the_description_of_another_export_is_refused(saved, tmp_path):
  other = tmp_path / "other.safetensors"
  params = init_params(CONFIG, jax.random.key(1))
  save_weights(other, CONFIG, params, {"steps": 8})
  saved.with_suffix(".json").replace(tmp_path / "kept")
  other.with_suffix(".json").replace(saved.with_suffix(".json"))
  with pytest.raises(ValueError, match="corrupt or of another export"):
    load_weights(saved)


def test_weights_of_earlier_versions_load_with_a_note(saved, capsys):
  path = saved.with_suffix(".json")
  about = json.loads(path.read_text())
  del about["description_checksum"], about["checksum"]
  path.write_text(json.dumps(about))
  assert load_weights(saved).metadata["steps"] == 7
  assert "note:" in capsys.readouterr().err
  params = init_params(CONFIG, jax.random.key(0))
  params["embedding"]["codebooks"] = params["embedding"]["codebooks"] * np.nan
  save_weights(saved, CONFIG, params, {})
  with pytest.raises(ValueError, match="embedding/codebooks has NaN"):
    load_weights(saved)


def test_other_suffixes_are_not_written(tmp_path):
  with pytest.raises(ValueError, match="safetensors"):
    save_weights(tmp_path / "model.pkl", CONFIG, {}, {})
