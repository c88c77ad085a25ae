"""The command on songs of chimes instead of the band's."""

import functools
import json
import os
import signal

import chimes
import pytest

from stemgen_jax import coherence
from stemgen_jax.apps import train_coherence
from stemgen_jax.coherence.config import NetworkConfig
from stemgen_jax.coherence.training import config, loop
from stemgen_jax.coherence.training import report as report_lib
from stemgen_jax.data.sources import band


@pytest.fixture
def call(monkeypatch, tmp_path):
  """Call the app with flags, in one folder, on little audio."""
  monkeypatch.setattr(
    band, "Band", lambda train, valid, **_: chimes.Chimes(train, valid)
  )
  small = functools.partial(
    config.TrainingConfig,
    network=NetworkConfig(
      timing=8, harmony=4, detectors=2, timing_blocks=1, harmony_blocks=1
    ),
    frames=96,
    warm_up=1,
  )
  monkeypatch.setattr(config, "TrainingConfig", small)
  monkeypatch.setattr(
    report_lib, "report", functools.partial(report_lib.report, frames=96)
  )

  def call(*arguments: str) -> None:
    train_coherence.FLAGS.unparse_flags()
    flags = [f"--out={tmp_path}", "--songs=3", "--batch=2", *arguments]
    train_coherence.FLAGS(["train_coherence", *flags])
    train_coherence.main(["train_coherence"])

  yield call
  for name in train_coherence.FLAGS:
    train_coherence.FLAGS[name].unparse()


def test_stopped_resumed_exported_reported(call, tmp_path, monkeypatch, capsys):
  run = loop.Training.run

  def stopped_after_a_step(self):
    for figures in run(self):
      os.kill(os.getpid(), signal.SIGTERM)
      yield figures

  weights = tmp_path / "coherence.safetensors"
  with pytest.raises(FileNotFoundError, match="train first"):
    call("--report")
  with monkeypatch.context() as patch:
    patch.setattr(loop.Training, "run", stopped_after_a_step)
    call("--steps=2")
  assert "stopped at step 1" in capsys.readouterr().out
  assert not weights.exists()
  call("--steps=2")
  about = json.loads(weights.with_suffix(".json").read_text())
  assert about["metadata"]["steps"] == 2
  assert coherence.load(weights)

  call("--steps=2", "--report")
  report = json.loads((tmp_path / "report.json").read_text())
  assert report["songs"] == 2
  assert "| another song |" in capsys.readouterr().out
  with pytest.raises(FileExistsError, match="--overwrite"):
    call("--steps=3")


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ("--steps=0", "steps is 0: expected 1 or more"),
    ("--songs=1", "--songs=1: expected 2 or more"),
    ("--batch=4", "--songs=3: expected at least --batch=4"),
    ("--report --song_seconds=8", "--song_seconds=8: expected at least 9.6"),
    ("--weights=package", "expected with --report"),
    ("--export=model.pt", "cannot write .pt; expected .safetensors"),
  ],
)
def test_wrong_flags(call, line, message):
  with pytest.raises(ValueError, match=message):
    call(*line.split())
