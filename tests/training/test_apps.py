import json
import pathlib
import sys
from unittest import mock

import numpy as np
import pytest
import tones

from stemgen_jax import __main__ as command
from stemgen_jax import model
from stemgen_jax.data import pairs, stem_codes
from stemgen_jax.training.metrics import read_log

CONFIG = pathlib.Path(__file__).parents[2] / "configs/demo.py"


class Loudness:
  """A codec of two levels: how loud a frame is, roughly and finely."""

  name = "loudness"
  sample_rate, channels, hop, frame_rate = 32_000, 1, 640, 50.0
  levels, codes_per_level = 2, 16
  checksum = "f" * 64

  def frames(self, samples):
    return -(-samples // self.hop)

  def encode(self, audio):
    loud = np.abs(audio).reshape(len(audio), -1, self.hop).mean(2)
    steps = (loud * 1000).astype(np.int32).clip(0, 255)
    return np.stack(np.divmod(steps, 16), axis=2)

  def decode(self, codes):
    raise NotImplementedError

  def codebooks(self):
    values = np.arange(16, dtype=np.float32)[:, None]
    return np.stack([16 * values, values])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "codes"
  config = pairs.PairConfig(segment_seconds=2.0, pairs=4)
  stem_codes.prepare(tones.Tones(), Loudness, out, config)
  return out


def train(prepared, out, *more):
  fields = {
    "model.width": 16,
    "model.depth": 1,
    "model.heads": 2,
    "model.mlp": 16,
    "model.window": 50,
    "mask.level_weights": "(0.7, 0.3)",
    "batch": 2,
    "mesh_data": 1,
    "log_every": 1,
    "validate_batches": 1,
  }
  argv = [
    "train",
    f"--config={CONFIG}",
    f"--data={prepared}",
    f"--out={out}",
    *(f"--config.{name}={value}" for name, value in fields.items()),
    *more,
  ]
  # As a process of its own does: ml_collections adds flags at every parsing,
  # for the overrides that it finds in sys.argv.
  sys.modules.pop("stemgen_jax.apps.train", None)
  with mock.patch.object(sys, "argv", ["stemgen-jax", *argv]):
    return command.main(argv)


def test_from_codes_to_weights(prepared, tmp_path, capsys):
  run, weights = tmp_path / "run", tmp_path / "model.safetensors"
  assert train(prepared, run, "--config.steps=2") == 0
  assert train(prepared, run, "--config.steps=3") == 0
  steps = [x["step"] for x in read_log(run / "log.jsonl")]
  assert sorted(set(steps)) == [1, 2, 3]
  assert "trained 3 steps" in capsys.readouterr().out

  assert command.main(["export", f"--run={run}", f"--out={weights}"]) == 0
  assert "step 3" in capsys.readouterr().out
  loaded = model.load_weights(weights)
  loaded.check_codec("loudness", Loudness.checksum)
  assert loaded.config.levels == 2
  assert loaded.config.codes == 16
  assert loaded.metadata["steps"] == 3
  assert set(loaded.metadata["categories"]) <= {"piano", "drums"}
  assert loaded.metadata["license"]
  assert loaded.metadata["validation"]["step"] == 3
  np.testing.assert_array_equal(
    loaded.params["embedding"]["codebooks"], Loudness().codebooks()
  )
  again = ["export", f"--run={run}", f"--out={weights}"]
  assert command.main(again) == 1
  assert "exists" in capsys.readouterr().err
  wrong_step = [*again, "--overwrite", "--step=7"]
  assert command.main(wrong_step) == 1
  assert "no checkpoint of step 7" in capsys.readouterr().err


def test_what_an_ablation_changes_is_a_flag(prepared, tmp_path, capsys):
  run, weights = tmp_path / "run", tmp_path / "model.safetensors"
  changes = {
    "model.embedding": "table",
    "model.conditions": "('category', 'genre', 'role')",
    "model.remat": "full",
    "drop.genre": "0.5",
    "mask.complementary": "True",
    "accumulate": "2",
    "validate_every": "0",
    "steps": "1",
  }
  flags = [f"--config.{name}={value}" for name, value in changes.items()]
  assert train(prepared, run, *flags) == 0
  (line,) = read_log(run / "log.jsonl")
  assert len(line["loss_per_ratio"]) == 5
  saved = json.loads((run / "config.json").read_text())
  assert saved["drop"] == {"category": None, "genre": 0.5, "role": None}
  assert command.main(["export", f"--run={run}", f"--out={weights}"]) == 0
  loaded = model.load_weights(weights)
  assert loaded.config.conditions == ("category", "genre", "role")
  assert loaded.config.embedding == "table"
  assert "codebooks" not in loaded.params["embedding"]
  assert set(loaded.params["embedding"]["conditions"]) == {
    "category",
    "genre",
    "role",
  }


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--config.model.dept=2", "dept"),
    ("--config.model.depth=two", "depth"),
    ("--config.model.heads=3", "model.heads=3"),
    ("--config.drop.genre=1.5", "drop.genre=1.5"),
    ("--config.accumulate=3", "accumulate=3"),
    ("--config.model.window=5000", "model.window=5000"),
    ("--config.mask.level_weights=(1.0,)", "level_weights"),
    ("--config=nowhere.py", "nowhere.py"),
    ("--data=nowhere", "nowhere"),
    ("--data=", "--data is missing"),
  ],
)
def test_wrong_flags_are_named(prepared, tmp_path, capsys, flag, message):
  assert train(prepared, tmp_path / "run", flag) == 1
  error = capsys.readouterr().err
  assert message in error
  assert len(error.splitlines()) <= 3
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--run=nowhere", "--out=model.safetensors"], "no run at nowhere"),
    (["--run=nowhere", "--out=model.pkl"], "safetensors"),
    (["--out=model.safetensors"], "--run is missing"),
    (["--run=x", "--out=model.safetensors", "--dtype=int8"], "float16"),
  ],
)
def test_wrong_exports_are_named(capsys, flags, message):
  assert command.main(["export", *flags]) == 1
  assert message in capsys.readouterr().err
