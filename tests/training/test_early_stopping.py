import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config
from test_trainer import run

from stemgen_jax.training import metrics, runs, trainer
from stemgen_jax.training.checkpoint import Checkpoints
from stemgen_jax.training.early_stopping import Best
from stemgen_jax.training.metrics import read_log
from stemgen_jax.training.optimizer import OptimizerConfig
from stemgen_jax.training.resolve import resolve


def test_the_best_is_the_first_of_the_highest():
  best = Best()
  rises = [best.update(i, x) for i, x in enumerate([0.1, 0.3, 0.2, 0.3], 1)]
  assert rises == [True, True, False, False]
  assert (best.step, best.accuracy) == (2, 0.3)


def test_patience_counts_from_the_best_step():
  best = Best(step=100, accuracy=0.5)
  assert not best.is_stale(149, 50)
  assert best.is_stale(150, 50)
  assert not best.is_stale(10**9, 0)
  assert not Best().is_stale(10**9, 50)  # nothing was measured


def test_patience_shorter_than_the_validation_interval_is_refused():
  with pytest.raises(ValueError, match="patience=2: must be at least"):
    resolve(tiny_config(patience=2, validate_every=3), fake_data())


def test_a_run_ends_when_accuracy_no_longer_rises(tmp_path, capsys):
  still = {
    # So small a rate that nothing changes.
    "optimizer": OptimizerConfig(learning_rate=1e-30, warmup_steps=0),
    "steps": 9,
    "validate_every": 1,
    "save_every": 2,
    "keep": 1,
  }
  assert run(tmp_path, patience=3, **still) == 4
  assert "accuracy has not risen since step 1" in capsys.readouterr().err
  end = read_log(tmp_path / "log.jsonl")[-1]
  assert (end["step"], end["kind"], end["reason"]) == (4, "end", "patience")
  # The best is kept next to the latest, and is exported.
  with Checkpoints(tmp_path) as checkpoints:
    assert (checkpoints.best, checkpoints.latest) == (1, 4)
  best, last = (runs.load_run(tmp_path, step) for step in ("best", "last"))
  assert (best.metadata["steps"], last.metadata["steps"]) == (1, 4)
  assert best.metadata["validation"]["step"] == 1
  with pytest.raises(FileNotFoundError, match="no checkpoint of step 3"):
    runs.load_run(tmp_path, 3)

  # Another call ends at once; with more patience the run resumes.
  assert run(tmp_path, patience=3, **still) == 4
  assert metrics.has_ended(tmp_path / "log.jsonl")
  assert run(tmp_path, patience=5, **still) == 6


def test_diverging_run_ends_and_keeps_the_last_good_step(tmp_path):
  # The first step of a warm-up has rate 0; the second one diverges.
  bursting = OptimizerConfig(learning_rate=1e30, warmup_steps=2)
  with pytest.raises(ValueError, match="last good checkpoint is of step 1"):
    run(tmp_path, optimizer=bursting, save_every=1, validate_every=0)
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest == 1
  params = runs.load_run(tmp_path).params
  assert np.isfinite(params["head"]).all()


def test_overfit_learns_one_batch(tmp_path):
  config = tiny_config(
    overfit=True,
    steps=150,
    batch=4,
    ema_decay=0.5,
    log_every=25,
    save_every=150,
    validate_every=150,
  )
  config.model.width, config.model.mlp = 32, 64
  config = resolve(config, fake_data())
  assert config.context_drop == config.condition_drop == 0
  trainer.train(config, fake_data(), FakeBatches(config), [], tmp_path)
  lines = read_log(tmp_path / "log.jsonl")
  losses = [x["loss"] for x in lines if x["kind"] == "train"]
  (valid,) = [x for x in lines if x["kind"] == "validation"]
  assert losses[0] > 1
  assert losses[-1] < 0.05
  # The validation is on that batch, learned from its context.
  assert valid["accuracy"] > 0.99
  assert valid["all_masked_true"] < 0.1 < valid["all_masked_shuffled"]
