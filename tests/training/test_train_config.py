"""Tests of the configuration of training runs."""

import dataclasses

import pytest
from fake_data import fake_data, tiny_config
from steps import resolved

from configs import demo, slakh
from stemgen_jax.model import CONDITION_SIZES
from stemgen_jax.training.config import DropConfig, from_dict
from stemgen_jax.training.resolve import check_replay


def test_every_condition_has_its_own_share():
  assert set(vars(DropConfig())) == set(CONDITION_SIZES)


def test_runs_of_frames_are_a_fifth_of_the_demo_and_none_of_the_papers():
  def shares(config):
    return config.mask.span_share + config.mask.prefix_share

  assert shares(demo.get_config()) == pytest.approx(0.2)
  assert shares(slakh.get_config()) == 0


def test_missing_fields_of_an_older_run_get_defaults():
  saved = dataclasses.asdict(resolved(condition_drop=0.3))
  del saved["accumulate"], saved["drop"], saved["mask"]["complementary"]
  assert from_dict(saved) == resolved(condition_drop=0.3)
  with pytest.raises(ValueError, match="moods"):
    from_dict(saved | {"moods": 1})


@pytest.mark.parametrize(
  ("path", "value"),
  [
    ("steps", 0),
    ("context_drop", 1.0),
    ("accumulate", 0),
    ("accumulate", 3),
    ("drop.genre", 1.0),
    ("ema_decay", -0.1),
    ("replay", 1.0),
    ("optimizer.learning_rate", 0.0),
    ("optimizer.final_ratio", 0.0),
    ("optimizer.frozen", ("(",)),
    ("mask.span_share", 1.5),
    ("mask.hidden_share", 0.9),
    ("mask.level_weights", (1.0,)),
    ("model.depth", 0),
  ],
)
def test_invalid_configurations_are_refused(path, value):
  config = tiny_config()
  config.model.latent = 3
  node = config
  *parents, name = path.split(".")
  for parent in parents:
    node = getattr(node, parent)
  setattr(node, name, value)
  with pytest.raises(ValueError, match=path):
    config.validate()


@pytest.mark.parametrize(
  ("share", "changes", "message"),
  [
    (0.2, None, r"config.replay=0.2: --replay is missing; .*--config.replay=0"),
    (0.0, {}, "--replay: config.replay is 0; expected the share of a batch"),
    (0.2, {"checksum": "b" * 64}, r"--replay: codec 'fake' \(bbbbbbbbbbbb\)"),
    (0.2, {"loudness": {"reference_db": -9}}, "--replay: encoded at .*-9 dB"),
    (0.2, {"frames": 7}, "--replay: records of 7 frames; expected at least"),
    (0.2, {"categories": {"kazoo": 3}}, "--replay: unknown categories kazoo"),
  ],
)
def test_data_of_the_pretraining_have_to_fit(share, changes, message):
  replay = None if changes is None else fake_data(**changes)
  with pytest.raises(ValueError, match=message):
    check_replay(resolved(replay=share), fake_data(), replay)
  check_replay(resolved(replay=0.2), fake_data(), fake_data())
