"""The codec over transformers' networks equals that over encodec's."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
from test_published import NAMES, noise, their_model

from stemgen_jax import codec
from stemgen_jax.codec import ScaledCodec, chunked, published


@pytest.mark.parametrize("name", ["demo", *NAMES])
def test_backends_are_the_same_codec(name, tmp_path, monkeypatch):
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path))
  text = name
  if name != "demo":
    shape = published.CONFIGS[name]
    shape = dataclasses.replace(shape, filters=2)
    monkeypatch.setitem(published.CONFIGS, name, shape)
    state = their_model(name, num_filters=2).state_dict()
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    text = f"{name}:{tmp_path}/w.safetensors"
  ours, theirs = (
    codec.load(text, backend=x) for x in ("encodec", "transformers")
  )
  assert theirs.checksum == ours.checksum
  assert type(theirs) is type(ours)
  np.testing.assert_array_equal(theirs.codebooks(), ours.codebooks())
  audio = noise(1, 60_123, ours.channels)
  codes = ours.encode(audio)
  assert len(np.unique(codes)) > 20
  assert (theirs.encode(audio) == codes).mean() >= 0.999
  assert theirs.frames(60_123) == ours.frames(60_123)
  scaled = isinstance(ours, ScaledCodec) and isinstance(theirs, ScaledCodec)
  assert scaled == (name == "encodec_48khz")
  decoded = ours.decode(codes)
  np.testing.assert_allclose(theirs.decode(codes), decoded, atol=1e-5)
  if name != "encodec_48khz":  # whose pieces are its segments
    monkeypatch.setattr(chunked, "_CHUNK", 40)
    np.testing.assert_allclose(theirs.decode(codes), decoded, atol=1e-5)


_WITHOUT = """
import sys
sys.modules["encodec"] = None  # as if it were not installed
from stemgen_jax import __main__
sys.exit(__main__.main(sys.argv[1:]))
"""


@pytest.mark.processes
def test_stems_need_no_encodec(tmp_path):
  flags = ["--seconds=1", "--steps=1"]
  done = subprocess.run(
    [
      sys.executable,
      "-c",
      _WITHOUT,
      "generate",
      *flags,
      f"--out={tmp_path / 'a.wav'}",
    ],
    env=os.environ | {"JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert (tmp_path / "a.wav").exists()


def test_names_are_checked(monkeypatch):
  with pytest.raises(ValueError, match="expected one of auto, encodec"):
    codec.load("demo", backend="torch")
  find = codec.backends.importlib.util.find_spec
  monkeypatch.setattr(
    codec.backends.importlib.util,
    "find_spec",
    lambda name: None if name == "encodec" else find(name),
  )
  with pytest.raises(ValueError, match="encodec is not installed"):
    codec.load("demo", backend="encodec")
  assert codec.backends.choose("auto") == "transformers"
