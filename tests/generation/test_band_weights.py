"""Tests of the band weights, and of what all shipped weights state."""

import json
import pathlib

import pytest

from stemgen_jax import __main__ as command
from stemgen_jax import audio, paths, sampling
from stemgen_jax.generation.stemgen import StemGen

pytestmark = pytest.mark.usefixtures("optimized_compilation")


def test_each_instrument_of_the_band_is_generated():
  model = StemGen.load("band")
  assert len(model.metadata["categories"]) == 16
  loop = audio.read(paths.LOOPS / "drums.flac")
  context = audio.Audio(loop.samples[:44_100], loop.sample_rate)
  settings = sampling.Settings(steps=(2, 1, 1, 1))
  for stem in model.metadata["categories"]:
    take = model.generate(context, stem, settings=settings)
    assert take.audio.samples.shape == context.samples.shape, stem
    assert take.metadata["stem"] == stem


def test_model_uses_its_context(tmp_path):
  arguments = ["--weights=band", "--examples=16", f"--out={tmp_path}"]
  assert command.main(["evaluate", "--what=listening", *arguments]) == 0
  result = json.loads((tmp_path / "listening.json").read_text())
  assert result["examples"] == 16
  figures = result["masked"]["100"]
  assert figures["true"] == min(
    figures[name] for name in ("true", "shuffled", "silent", "null")
  )
  assert figures["gain_low"] > 0.25


@pytest.mark.parametrize("name", paths.SHIPPED)
@pytest.mark.parametrize("suffix", [".json", ".md"])
def test_no_folder_of_a_machine_is_named(name, suffix):
  words = paths.MODELS[name].with_suffix(suffix).read_text().split()
  files = [pathlib.PurePath(word.strip('",[]')) for word in words]
  assert not [str(file) for file in files if file.is_absolute()]
