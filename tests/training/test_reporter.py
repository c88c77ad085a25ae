import json
import struct
import time
from typing import Any

import jax
import numpy as np
import pytest
from fake_data import tiny_config
from tensorboardX.proto import event_pb2

from stemgen_jax.model import sharding
from stemgen_jax.training import reporter
from stemgen_jax.training.metrics import read_log
from stemgen_jax.training.planning.flops import step_flops


class Later:
  """A figure on a device that records when it is fetched."""

  def __init__(self, value, fetched):
    self.value, self.fetched = value, fetched

  def __array__(self, dtype=None, copy=None):
    self.fetched.append(self.value)
    return np.array(self.value, dtype)


def metrics(loss):
  sums = {"loss": [8.0, 4.0], "correct": [2.0, 1.0], "tokens": [4.0, 4.0]}
  ratios = {name: [0.0, *x, 0.0, 0.0] for name, x in sums.items()}
  return {
    "loss": loss,
    "gradient_norm": 1.5,
    "learning_rate": 1e-3,
    **{f"level_{name}": np.array(x) for name, x in sums.items()},
    **{f"ratio_{name}": np.array(x) for name, x in ratios.items()},
  }


def validation():
  return {
    "loss_per_level": [2.0, 1.0],
    "accuracy_per_level": [0.5, 0.25],
    "accuracy": 0.375,
    "all_masked_true": 1.0,
    "all_masked_shuffled": 3.0,
    "listening_gain": 2.0,
  }


def read_events(folder):
  """Yields what the event files of a folder hold."""
  messages: Any = event_pb2
  for path in folder.iterdir():
    data, place = path.read_bytes(), 0
    while place < len(data):
      (length,) = struct.unpack_from("<Q", data, place)
      yield messages.Event.FromString(data[place + 12 : place + 12 + length])
      place += 16 + length


def events(folder):
  """Values of all event files, by tag and step."""
  return {
    (value.tag, event.step): value
    for event in read_events(folder)
    for value in event.summary.value
  }


@pytest.fixture
def config():
  config = tiny_config(steps=6, log_every=2)
  config.model.latent = 3
  return config


def test_time_left_is_counted_after_the_first_step(
  config, tmp_path, monkeypatch
):
  now = [1000.0]
  monkeypatch.setattr(time, "time", lambda: now[0])
  with reporter.Reporter(config, tmp_path, 0, "") as report:
    bar: Any = report._bar
    bar._time = lambda: now[0]
    for seconds in (100.0, 2.0, 2.0):  # the first is compiled
      now[0] += seconds
      report.step(bar.n + 1, metrics(1.0), 0.0)
    left = bar.format_dict
    assert (left["n"], left["initial"], left["elapsed"]) == (3, 1, 4.0)
    assert left["rate"] in (None, 0.5)


def test_step_is_reported_after_the_next_one_is_dispatched(config, tmp_path):
  fetched = []
  with reporter.Reporter(config, tmp_path, 0, "") as seen:
    seen.step(1, metrics(Later(5.0, fetched)), 0.0)
    seen.step(2, metrics(Later(3.0, fetched)), 0.0)
    assert fetched == []
    seen.step(3, metrics(Later(1.0, fetched)), 0.0)
    assert set(fetched) == {5.0, 3.0}
  (line,) = [
    x for x in read_log(tmp_path / "log.jsonl") if x["kind"] == "train"
  ]
  assert line["step"] == 2
  assert line["loss"] == 4.0


def test_figures_are_in_the_log_in_tensorboard_and_on_the_terminal(
  config, tmp_path, capsys
):
  with reporter.Reporter(
    config, tmp_path, 0, "stemgen-jax train --x=1"
  ) as seen:
    for step in range(1, 7):
      seen.step(step, metrics(4.0), 0.25 * step)
      if step == 4:
        seen.validation(4, validation())
    seen.flush()
    seen.end(6, "steps")

  lines = read_log(tmp_path / "log.jsonl")
  kinds = ["start", "train", "validation", "train", "train", "end"]
  assert [line["kind"] for line in lines] == kinds
  assert lines[0]["command"] == "stemgen-jax train --x=1"
  assert lines[0]["devices"] == "1 x cpu"
  # Seconds per step: steps 1 and 2, 3 and 4, 5 and 6.
  waits = [line["data_wait"] for line in lines if line["kind"] == "train"]
  assert waits == pytest.approx([0.375, 0.875, 1.375])
  assert "share_of_peak" not in lines[1]  # unknown for CPUs

  found = events(tmp_path / "tensorboard")
  shown = {
    "train/loss": 4.0,
    "train/loss_per_level/0": 2.0,
    "train/accuracy_per_level/1": 0.25,
    "train/loss_per_ratio/1": 2.0,
    "train/accuracy_per_ratio/2": 0.25,
    "train/gradient_norm": 1.5,
    "train/learning_rate": 1e-3,
    "train/data_wait": 0.375,
    "train/examples_per_second": lines[1]["examples_per_second"],
  }
  for tag, value in shown.items():
    assert found[tag, 2].simple_value == pytest.approx(value), tag
  assert ("train/loss_per_ratio/0", 2) not in found  # no example had that share
  assert found["validation/listening_gain", 4].simple_value == 2.0

  printed = capsys.readouterr().err
  assert "step 4: loss per level 2.000 1.000, accuracy 0.500 0.250" in printed
  last = printed.splitlines()[-1]
  assert last.startswith("step 6/6, loss 4.000, ")
  assert "examples/s" in last
  assert last.rstrip().endswith(" left")


def test_share_of_peak_counts_useful_operations(config, tmp_path, monkeypatch):
  # Operations of all eight devices at four examples per second.
  needed = step_flops(config).useful / config.batch * 4
  monkeypatch.setattr(reporter, "peak_flops", lambda kind: needed / 8)
  mesh = sharding.make_mesh(4, 2)
  with jax.set_mesh(mesh), reporter.Reporter(config, tmp_path, 0, "") as seen:
    for step in (1, 2, 3):
      seen.step(step, metrics(4.0), 0.0)
  start, line = read_log(tmp_path / "log.jsonl")
  assert start["devices"] == "8 x cpu"
  assert line["share_of_peak"] == pytest.approx(
    line["examples_per_second"] / 4, rel=1e-3
  )


def test_paused_time_does_not_count(config, tmp_path):
  with reporter.Reporter(config, tmp_path, 0, "") as seen:
    began = time.monotonic()
    seen.step(1, metrics(4.0), 0.0)
    with seen.paused():
      time.sleep(0.5)
    seen.step(2, metrics(4.0), 0.0)
    seen.flush()
    whole = time.monotonic() - began
  line = read_log(tmp_path / "log.jsonl")[1]
  assert 2 * config.batch / line["examples_per_second"] < whole - 0.4


@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
def test_figures_that_are_not_finite_raise(config, tmp_path, name):
  with reporter.Reporter(config, tmp_path, 0, "") as seen:
    seen.step(1, metrics(4.0), 0.0)
    seen.step(2, metrics(4.0) | {name: np.float32("nan")}, 0.0)
    words = name.replace("_", " ")
    with pytest.raises(FloatingPointError, match=f"{words} is not finite"):
      seen.check(2)


def test_resumed_run_rewrites_its_later_steps(config, tmp_path):
  lines = [
    {"step": 2, "kind": "train"},
    {"step": 2, "kind": "end"},
    {"step": 4, "kind": "train"},
  ]
  text = "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 5, "k'
  (tmp_path / "log.jsonl").write_text(text)
  with reporter.Reporter(config, tmp_path, 2, "again"):
    pass
  kept = read_log(tmp_path / "log.jsonl")
  assert [(x["step"], x["kind"]) for x in kept] == [(2, "train"), (2, "start")]


@pytest.mark.parametrize("start", [0, 3])
def test_tensorboard_drops_repeated_steps(config, tmp_path, start):
  # In TensorBoard a START event drops this step and later ones.
  # From 0, too: the run may have been killed before it saved anything.
  with reporter.Reporter(config, tmp_path, start, "") as seen:
    seen.validation(start + 1, validation())
  found = read_events(tmp_path / "tensorboard")
  begun = [x.step for x in found if x.HasField("session_log")]
  assert begun == [start + 1]


def test_saved_steps_are_in_tensorboard_even_if_the_run_is_killed(
  config, tmp_path
):
  with reporter.Reporter(config, tmp_path, 0, "") as seen:
    for step in (1, 2):
      seen.step(step, metrics(4.0), 0.0)
    seen.check(2)  # as before a checkpoint
    assert ("train/loss", 2) in events(tmp_path / "tensorboard")


def test_without_tensorboardx_there_is_no_folder(config, tmp_path, monkeypatch):
  monkeypatch.setattr(reporter, "tensorboard_available", lambda: False)
  with reporter.Reporter(config, tmp_path, 0, "") as seen:
    seen.validation(1, validation())
    seen.audition(1, [])
  assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize(
  ("kind", "peak"),
  [
    ("NVIDIA H100 80GB HBM3", 989e12),
    ("NVIDIA A100-SXM4-80GB", 312e12),
    ("NVIDIA L4", 121e12),
    ("NVIDIA L40", 181e12),
    ("NVIDIA GH200 480GB", 989e12),
    ("TPU v5 lite", 197e12),
    ("TPU v5p", 459e12),
    ("TPU v6 lite", 918e12),
    ("TPU v6e", 918e12),
    ("cpu", None),
  ],
)
def test_peak_flops_are_those_of_the_data_sheets(kind, peak):
  assert reporter.peak_flops(kind) == peak
