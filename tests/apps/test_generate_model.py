"""The generate command with a real model, tiny and untrained."""

import pathlib
import re

import jax
import numpy as np
import pytest
import torch

from stemgen_jax import __main__, audio, model
from stemgen_jax.codec import encodec, networks
from stemgen_jax.generation import sampler


def run(*arguments, expect=0):
  assert __main__.main(["generate", *arguments]) == expect


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
  """A real model and codec, tiny and untrained, as files."""
  torch.manual_seed(0)
  folder = tmp_path_factory.mktemp("weights")
  shape = networks.NetworkConfig(
    sample_rate=8000, ratios=(8, 5), filters=2, latent=8, codes_per_level=16
  )
  network = networks.Network(shape)
  for name, values in network.state_dict().items():
    if name.endswith("embed"):  # all zero before training
      values.normal_()
  checksum = encodec.save(folder / "codec.safetensors", "tiny", network, {})
  config = model.ModelConfig(
    codes=16,
    width=16,
    depth=1,
    heads=2,
    mlp=16,
    window=100,
    frame_rate=200.0,
    codec=str(folder / "codec.safetensors"),
    codec_checksum=checksum,
  )
  rng = np.random.default_rng(0)  # init_params would compile for seconds
  params = jax.tree.map(
    lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32),
    jax.eval_shape(lambda: model.init_params(config, jax.random.key(0))),
  )
  model.save_weights(folder / "model.safetensors", config, params, {})
  return folder / "model.safetensors"


def test_seed_gives_the_same_file_alone_and_in_a_batch(
  context, weights, capsys
):
  flags = (f"--weights={weights}", "--context=mix.wav", "--steps=2,1")
  run(*flags, "--out=few.wav", "--seed=1", "--takes=2")
  run(*flags, "--out=alone.wav", "--seed=2")
  alone, few = audio.read("alone.wav"), audio.read("few-seed2.wav")
  assert alone.samples.shape == context.samples.shape
  np.testing.assert_array_equal(alone.samples, few.samples)
  other = audio.read("few-seed1.wav")
  assert not np.array_equal(other.samples, alone.samples)
  assert "1.0 s of music in" in capsys.readouterr().out


def test_dry_run_prints_costs_of_presets_and_requested_settings(
  context, weights, monkeypatch, capsys
):
  flags = (f"--weights={weights}", "--context=mix.wav", "--dry_run")

  def passes(*more):
    run(*flags, "--verbose", *more)
    _, title, *lines = capsys.readouterr().out.splitlines()
    assert "the codec takes about" in title
    pattern = (
      r"  (\S.*\S) +about +[\d.]+ s(?:, (.*))? \((\d+) passes, \d+ GFLOP\)"
    )
    found = [re.fullmatch(pattern, line) for line in lines]
    assert all(found), lines
    return [
      ([*match[1].split(), match[3]], match[2] or "")
      for match in found
      if match
    ]

  # A second is 200 frames, in three windows of 100, of which the last two have
  # 50 frames to sample: most steps of the paper fix none.
  presets = [
    (["--preset=default", "132"], ""),
    (["--preset=fast", "36"], ""),
    (["--preset=paper", "1545"], ""),
  ]
  assert passes("--takes=3") == presets  # a CPU takes no batches
  monkeypatch.setattr(sampler, "at_once", lambda exact: 1 if exact else 2)
  rows = [*presets, (["as", "requested", "27"], "")]
  rows += [(name, "2 takes at once") for name, _ in rows]
  assert passes("--takes=3", "--steps=2,1") == rows
  run(*flags)
  out = capsys.readouterr().out
  assert re.search(r"^  --preset=fast +about +[\d.]+ s$", out, re.MULTILINE)
  assert "GFLOP" not in out
  assert [path.name for path in pathlib.Path().iterdir()] == ["mix.wav"]
