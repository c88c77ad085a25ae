import json
import pathlib
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from loudness import Loudness

from stemgen_jax import __main__ as command
from stemgen_jax import model
from stemgen_jax.data import batches
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.subject import Subject
from stemgen_jax.generation import stemgen
from stemgen_jax.training import runs
from stemgen_jax.training.metrics import read_log

CONFIG = pathlib.Path(__file__).parents[2] / "configs/demo.py"


@pytest.fixture(scope="module")
def prepared(codes):
  return codes


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
  # As in a new process: ml_collections adds flags at every parsing,
  # for the overrides that it finds in sys.argv.
  sys.modules.pop("stemgen_jax.apps.train", None)
  with mock.patch.object(sys, "argv", ["stemgen-jax", *argv]):
    return command.main(argv)


def test_from_codes_to_weights(prepared, tmp_path, capsys, monkeypatch):
  run, weights = tmp_path / "run", tmp_path / "model.safetensors"
  assert train(prepared, run, "--config.steps=2") == 0
  assert train(prepared, run, "--config.steps=3") == 0
  lines = read_log(run / "log.jsonl")
  steps = [x["step"] for x in lines if x["kind"] == "train"]
  assert steps == [1, 2, 3]
  starts = [x for x in lines if x["kind"] == "start"]
  assert [x["step"] for x in starts] == [0, 2]
  assert "--config.steps=2" in starts[0]["command"]
  printed = capsys.readouterr()
  assert "trained 3 steps" in printed.out
  assert '"depth": 1,' in printed.out  # the resolved configuration
  assert "no audition: unknown codec 'loudness'" in printed.err

  last = [f"--run={run}", f"--out={weights}", "--step=last"]
  assert command.main(["export", *last, "--license=CC0-1.0"]) == 0
  assert "step 3" in capsys.readouterr().out
  loaded = model.load_weights(weights)
  loaded.check_codec("loudness", Loudness.checksum)
  assert loaded.config.levels == 2
  assert loaded.config.codes == 16
  assert loaded.metadata["steps"] == 3
  assert set(loaded.metadata["categories"]) <= {"piano", "drums"}
  assert loaded.metadata["license"] == "CC0-1.0"
  measured = loaded.metadata["validation"]
  assert measured["step"] == 3
  np.testing.assert_array_equal(
    loaded.params["embedding"]["codebooks"], Loudness().codebooks()
  )
  card = weights.with_suffix(".md").read_text()
  for fact in (
    'StemGen.load("model.safetensors")',
    "| steps | 3 |",
    "| data | tones_loudness |",
    "--config.steps=2",
    f"| level 1 | {measured['loss_per_level'][1]:.3f} nats, accuracy",
    f"| all masked, true context | {measured['all_masked_true']:.3f} nats |",
    "| these weights | CC0-1.0 |",
    "| data | not stated |",
    "| codec | not stated |",
  ):
    assert fact in card
  course = loaded.metadata["course"]
  assert [row["step"] for row in course] == [
    x["step"] for x in lines if x["kind"] == "validation"
  ]
  assert f"| 3 | {measured['accuracy']:.3f} | " in card
  assert "(model.png)" in card
  assert weights.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

  # A run folder loads too, at its best step.
  best = max(
    (x for x in lines if x["kind"] == "validation"),
    key=lambda x: x["accuracy"],
  )
  monkeypatch.setattr(stemgen.codec_lib, "load", lambda *_, **__: Loudness())
  restored = stemgen.StemGen.load(run)
  assert restored.metadata["steps"] == best["step"]
  assert restored.config == stemgen.StemGen.load(weights).config

  study = ["evaluate", "--what=listening", f"--weights={run}"]
  study += [f"--out={tmp_path / 'study'}", "--examples=2"]
  assert command.main([*study, f"--data={prepared}"]) == 1
  assert "split 'test', only in" in capsys.readouterr().err
  assert not (tmp_path / "study").exists()
  one, two = (Subject(Options(weights=str(run))).checksum for _ in "12")
  assert one == two
  assert one != Subject(Options(weights=str(weights))).checksum
  few = tmp_path / "few.npz"
  batches.eval_examples(prepared, "train", 50, 2).save(few)
  assert command.main([*study, f"--data={few}"]) == 0
  assert "2 examples of 2 songs" in capsys.readouterr().out

  again = ["export", f"--run={run}", f"--out={weights}"]
  assert command.main(again) == 1
  assert "exists" in capsys.readouterr().err
  wrong_step = [*again, "--overwrite", "--step=7"]
  assert command.main(wrong_step) == 1
  assert "no checkpoint of step 7" in capsys.readouterr().err


def test_restore_step_replaces_a_corrupt_checkpoint(prepared, tmp_path, capsys):
  quiet = ("--config.listen_every=0", "--config.validate_every=0")
  flags = (*quiet, "--config.save_every=1")
  assert train(prepared, tmp_path, "--config.steps=2", *flags) == 0
  (tmp_path / "checkpoints/2/_CHECKPOINT_METADATA").unlink()
  assert train(prepared, tmp_path, "--config.steps=3", *flags) == 1
  error = capsys.readouterr().err
  assert "checkpoints/2: unusable checkpoint" in error
  assert "train --restore_step=1 or export --step=1" in error
  back = (*flags, "--restore_step=1")
  assert train(prepared, tmp_path, "--config.steps=3", *back) == 0
  lines = read_log(tmp_path / "log.jsonl")
  assert [x["step"] for x in lines if x["kind"] == "start"] == [0, 1]
  assert [x["step"] for x in lines if x["kind"] == "train"] == [1, 2, 3]
  assert (tmp_path / "set_aside/2").is_dir()


def test_export_does_not_overwrite_files(prepared, tmp_path, capsys):
  run, mine = tmp_path / "run", tmp_path / "model.md"
  flags = ("--config.listen_every=0", "--config.validate_every=0")
  assert train(prepared, run, "--config.steps=1", *flags) == 0
  mine.write_text("mine")
  export = ["export", f"--run={run}", f"--out={tmp_path / 'model.safetensors'}"]
  assert command.main(export) == 1
  assert "model.md exists" in capsys.readouterr().err
  assert mine.read_text() == "mine"
  assert not (tmp_path / "model.safetensors").exists()
  assert command.main([*export, "--overwrite"]) == 0
  assert mine.read_text().startswith("# model")


def test_ablation_choices_are_flags(prepared, tmp_path, capsys):
  run, weights = tmp_path / "run", tmp_path / "model.safetensors"
  changes = {
    "model.embedding": "table",
    "model.conditions": "('category', 'genre', 'role')",
    "model.remat": "full",
    "model.attention": "dot_product",
    "drop.genre": "0.5",
    "mask.complementary": "True",
    "accumulate": "2",
    "validate_every": "0",
    "steps": "1",
  }
  flags = [f"--config.{name}={value}" for name, value in changes.items()]
  assert train(prepared, run, *flags) == 0
  (line,) = [x for x in read_log(run / "log.jsonl") if x["kind"] == "train"]
  assert len(line["loss_per_ratio"]) == 5
  saved = json.loads((run / "config.json").read_text())
  assert saved["drop"] == {"category": None, "genre": 0.5, "role": None}
  assert command.main(["export", f"--run={run}", f"--out={weights}"]) == 0
  loaded = model.load_weights(weights)
  assert loaded.config.conditions == ("category", "genre", "role")
  assert loaded.config.embedding == "table"
  assert runs.load_run(run).config.attention == "auto"
  assert "codebooks" not in loaded.params["embedding"]
  assert set(loaded.params["embedding"]["conditions"]) == {
    "category",
    "genre",
    "role",
  }


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--config.model.dept=2", "did you mean --config.model.depth?"),
    ("--config.patienc=2", "did you mean --config.patience?"),
    ("--config.checkpoint_every=2", "did you mean --config.save_every?"),
    ("--config.frobnicate=2", "unknown flag --config.frobnicate\n"),
    ("--stat=demo", "did you mean --start?"),
    ("--dpeth=2", "did you mean --config.model.depth?"),
    ("--learning_rate=1", "mean --config.optimizer.learning_rate?"),
    ("--config.model.depth=two", "depth"),
    ("--config.overfit=maybe", "overfit"),
    (
      "--config.optimizer.frozen=('blok',)",
      "'blok' matches no parameter; expected patterns of blocks/",
    ),
    ("--config.patience=-1", "patience=-1"),
    ("--config.model.heads=3", "model.heads=3"),
    ("--config.drop.genre=1.5", "drop.genre=1.5"),
    ("--config.accumulate=3", "accumulate=3"),
    ("--config.model.window=5000", "model.window=5000"),
    ("--config.mesh_data=16", "needs 16 devices"),
    ("--config.mask.level_weights=(1.0,)", "level_weights"),
    ("--config=nowhere.py", "nowhere.py"),
    ("--data=nowhere", "nowhere"),
    ("--data=", "--data is missing"),
    ("--codec=nowhere.safetensors", "nowhere.safetensors"),
  ],
)
def test_invalid_flags_are_refused(prepared, tmp_path, capsys, flag, message):
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
    (["--run=x", "--out=model.safetensors", "--step=first"], "best, last or"),
  ],
)
def test_invalid_exports_are_refused(capsys, flags, message):
  assert command.main(["export", *flags]) == 1
  assert message in capsys.readouterr().err


def test_help_and_invalid_flags_do_not_load_jax(tmp_path):
  config = f"--config={CONFIG}"
  calls = [
    ["train", "--help"],
    ["train", config, "--config.model.dept=2"],
    ["train", config, f"--data={tmp_path}", f"--out={tmp_path}/run"],
    ["train", config, "--dry_run", "--device=abacus"],
    ["export", "--help"],
    ["export", f"--run={tmp_path}", f"--out={tmp_path}/model.safetensors"],
  ]
  script = (
    "import json, sys\n"
    "from stemgen_jax import __main__ as command\n"
    "for argv in json.loads(sys.argv.pop()):\n"
    "  sys.argv[1:] = argv\n"
    "  assert command.main(argv) == ('--help' not in argv)\n"
    "heavy = {'jax', 'torch', 'scipy', 'grain'} & set(sys.modules)\n"
    "assert not heavy, heavy\n"
    # tensorboardX imports torch, unless the reporter hides it.
    "from stemgen_jax.training import launch, reporter\n"
    "assert reporter._tensorboardx().SummaryWriter\n"
    "assert 'torch' not in sys.modules\n"
  )
  subprocess.run([sys.executable, "-c", script, json.dumps(calls)], check=True)
