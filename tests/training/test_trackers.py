"""Trackers, with stand-ins of their packages; each was also run for real."""

import json
import sys
import threading
import types

import pytest
from fake_data import tiny_config
from test_reporter import metrics

from stemgen_jax.training import reporter, trackers
from stemgen_jax.training.metrics import read_log


class StandIn(types.ModuleType):
  """A module with the functions of the three packages that are used.

  Attributes:
    calls: name and arguments of every call, in order.
    fails: function that raises, if any.
    blocks: until when `log` waits.
  """

  def __init__(self, name):
    super().__init__(name)
    self.__spec__ = types.SimpleNamespace(name=name)  # type: ignore
    self.calls = []
    self.fails = ""
    self.blocks = threading.Event()
    self.blocks.set()
    self.info = types.SimpleNamespace(run_id="of mlflow")
    self.id, self.name = "of wandb", "of trackio"

  def __getattr__(self, function):
    if function.startswith("__"):
      raise AttributeError(function)

    def call(*args, **kwargs):
      self.calls.append((function, args, kwargs))
      if function == self.fails:
        raise SystemExit(f"no {function}\nand more lines")
      if function in ("log", "log_metrics"):
        self.blocks.wait()
      return self

    return call

  def named(self, *functions):
    return [x for x in self.calls if x[0] in functions]


@pytest.fixture(params=["mlflow", "trackio", "wandb"])
def package(request, monkeypatch):
  package = StandIn(request.param)
  monkeypatch.setitem(sys.modules, request.param, package)
  return package


def run(package, out, steps=(1, 2, 3)):
  config = tiny_config(steps=6, log_every=2)
  config.model.latent = 3
  names = trackers.parse(package.__name__)
  with reporter.Reporter(config, out, steps[0] - 1, "", names) as seen:
    for step in steps:
      seen.step(step, metrics(4.0), 0.0)
  return [x for x in read_log(out / "log.jsonl") if x["kind"] == "train"]


def test_figures_are_sent_and_a_resumed_run_continues(package, tmp_path):
  (line,) = run(package, tmp_path)
  run(package, tmp_path, steps=(3, 4, 5))
  (first, second) = package.named("log", "log_metrics")
  assert first[2] == {"step": 2}
  assert first[1][0]["train/loss"] == line["loss"] == 4.0
  assert first[1][0]["train/accuracy_per_level/1"] == 0.25
  assert second[2] == {"step": 4}
  assert len(package.named("finish", "end_run")) == 2

  name = package.__name__
  known = json.loads((tmp_path / "trackers.json").read_text())
  assert known == {name: f"of {name}"}
  key = {"mlflow": "run_id", "trackio": "name", "wandb": "id"}[name]
  first, second = package.named("init", "start_run")
  assert first[2][key] != f"of {name}"
  assert second[2][key] == f"of {name}"
  config = first[2].get("config")
  if name == "mlflow":
    ((_, (config,), _),) = package.named("log_params")
  assert config["optimizer.learning_rate"] > 0


@pytest.mark.parametrize("function", ["start", "log", "finish"])
def test_one_that_fails_is_reported_once(package, tmp_path, capsys, function):
  by_name = {"start": "init", "log": "log", "finish": "finish"}
  if package.__name__ == "mlflow":
    by_name = {"start": "start_run", "log": "log_metrics", "finish": "end_run"}
  package.fails = by_name[function]
  lines = run(package, tmp_path, steps=(1, 2, 3, 4, 5))
  assert [line["step"] for line in lines] == [2, 4]
  printed = capsys.readouterr().err
  warning = f"warning: {package.__name__} failed (SystemExit: no "
  assert printed.count(warning) == printed.count("failed") == 1
  assert "and more" not in printed


def test_one_that_does_not_answer_ends_with_the_run(
  package, tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(trackers, "_PATIENCE", 0.05)
  package.blocks.clear()
  (line,) = run(package, tmp_path)
  assert line["step"] == 2
  assert "a tracker did not answer for 0.05 s" in capsys.readouterr().err
  package.blocks.set()


def test_errors_of_the_run_are_not_hidden(package, tmp_path):
  package.fails = "finish"
  with (
    pytest.raises(ZeroDivisionError),
    reporter.Reporter(tiny_config(), tmp_path, 0, "", [package.__name__]),
  ):
    raise ZeroDivisionError


def test_names_are_checked():
  assert trackers.parse("") == ()
  with pytest.raises(
    ValueError, match="expected one of mlflow, trackio, wandb"
  ):
    trackers.parse("tensorboard")
  with pytest.raises(ValueError, match=r"pip install -e '.\[mlflow\]'"):
    trackers.parse("mlflow")
