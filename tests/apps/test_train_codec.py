"""The command on songs of tones instead of the band's."""

import functools
import json
import os
import signal

import pytest
import tones

from stemgen_jax import codec, disk
from stemgen_jax.apps import train_codec
from stemgen_jax.codec.config import NetworkConfig
from stemgen_jax.codec.training import config, loop
from stemgen_jax.codec.training import report as report_lib
from stemgen_jax.data.sources import band
from stemgen_jax.paths import LOOPS


@pytest.fixture
def call(monkeypatch, tmp_path):
  """Call the app with flags, in one folder, on little audio."""
  monkeypatch.setattr(band, "Band", lambda **_: tones.Tones())
  small = functools.partial(
    config.TrainingConfig,
    network=NetworkConfig(filters=2, codes_per_level=16),
    kmeans_batches=4,
  )
  monkeypatch.setattr(config, "TrainingConfig", small)
  few_clips = functools.partial(report_lib.report, count=4)
  monkeypatch.setattr(report_lib, "report", few_clips)
  signals = (signal.SIGTERM, signal.SIGINT)
  handlers = [signal.getsignal(number) for number in signals]

  def call(*arguments: str) -> None:
    train_codec.FLAGS.unparse_flags()
    train_codec.FLAGS(["train_codec", f"--out={tmp_path}", *arguments])
    train_codec.main(["train_codec"])

  yield call
  # The app restores the handlers that it replaces.
  assert [signal.getsignal(number) for number in signals] == handlers
  for name in train_codec.FLAGS:
    train_codec.FLAGS[name].unparse()


def test_stopped_resumed_exported_reported(call, tmp_path, monkeypatch):
  flags = "--steps=4", "--batch=2", "--songs=3"
  run = loop.Training.run

  def stopped_after_two_steps(self):
    for figures in run(self):
      if self.step == 2:
        os.kill(os.getpid(), signal.SIGTERM)
      yield figures

  weights = tmp_path / "codec.safetensors"
  with monkeypatch.context() as patch:
    patch.setattr(loop.Training, "run", stopped_after_two_steps)
    call(*flags)
  assert not weights.exists()

  steps = []
  monkeypatch.setattr(
    loop.Training,
    "run",
    lambda self: (steps.append(self.step) or f for f in run(self)),
  )
  call(*flags)
  assert steps == [3, 4]
  assert codec.load(weights).codebooks().any()

  call(*flags, "--report", f"--files={LOOPS}/*.flac")
  report = json.loads((tmp_path / "report.json").read_text())
  checksum = disk.checksum(weights)
  assert report.pop("codec") == "demo"
  assert report.pop("checksum") == checksum
  assert set(report) == {"piano", "drums", "mix", "all", "files"}
  assert len(report["mix"]["perplexity"]) == 4

  # Codes need their codec: longer training does not replace it.
  longer = ("--steps=5", *flags[1:])
  with pytest.raises(FileExistsError, match="--overwrite"):
    call(*longer)
  assert disk.checksum(weights) == checksum
  call(*longer, "--overwrite")
  assert disk.checksum(weights) != checksum
  call(*flags, f"--export={tmp_path}/shorter.safetensors")  # it is done
  assert disk.checksum(tmp_path / "shorter.safetensors") == disk.checksum(
    weights
  )


def test_the_shipped_codec_is_measured(call, tmp_path):
  with pytest.raises(FileNotFoundError, match="train first"):
    call("--report")
  call("--songs=3", "--report", "--codec=demo")
  report = json.loads((tmp_path / "report.json").read_text())
  assert report["checksum"] == codec.load("demo").checksum
  assert report["all"]["log_mel"] < 0.9 * report["all"]["plateau"]


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--steps=0", "steps is 0: expected 1 or more"),
    ("--songs=0", "--songs=0: expected 1 or more"),
    ("--files=loops/*.wav", "expected with --report"),
    ("--codec=demo", "expected with --report"),
    ("--export=codec.pt", "cannot write .pt; expected .safetensors"),
  ],
)
def test_wrong_flags(call, flag, message):
  with pytest.raises(ValueError, match=message):
    call(flag)
