"""Tests of a codec in a process of its own."""

import subprocess
import sys

import pytest

from stemgen_jax import codec, paths
from stemgen_jax.codec import process

# In a fresh interpreter: a process with JAX's threads is not forked.
_SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from stemgen_jax import codec
from stemgen_jax.codec import process

assert process.is_useful("cpu") and not process.is_useful("cuda")
apart = codec.load(own_process=True)
assert isinstance(apart, codec.Codec)
assert not isinstance(apart, codec.ScaledCodec)
audio = np.random.default_rng(0).normal(size=(1, 4321, 1)).astype("f4") / 9
codes = apart.encode(audio)
try:
  apart.decode(codes + 5000)
except ValueError as error:
  print(error)
decoded = apart.decode(codes)
assert not {"jax", "torch"} & sys.modules.keys()
own = codec.load()
np.testing.assert_array_equal(codes, own.encode(audio))
np.testing.assert_array_equal(decoded, own.decode(codes))
np.testing.assert_array_equal(apart.codebooks(), own.codebooks())
for name in ("name", "sample_rate", "channels", "frame_rate", "hop", "levels",
             "codes_per_level", "checksum", "framing", "device"):
  assert getattr(apart, name) == getattr(own, name), name
assert apart.frames(4321) == own.frames(4321)
samples = range(0, 320_000, 320)
with ThreadPoolExecutor(4) as threads:
  found = threads.map(lambda n: apart._call("frames", n), samples)
  assert list(found) == [own.frames(n) for n in samples]
assert not process.is_useful("cpu")  # PyTorch has been imported.
apart._process.kill()
apart.encode(audio)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_codec_apart_agrees_with_one_in_this_process():
  done = subprocess.run(
    [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=120
  )
  assert "code ids" in done.stdout, done.stderr
  last = done.stderr.splitlines()[-1]
  assert last.startswith("OSError: codec 'demo': its process ended"), last


def test_a_postponed_module_is_imported_when_it_is_used(monkeypatch):
  monkeypatch.setitem(sys.modules, "colorsys", None)  # restored at the end
  process._postpone("colorsys")
  import colorsys as stand_in

  assert not hasattr(stand_in, "__path__")
  assert "rgb_to_hsv" not in vars(stand_in)
  from colorsys import rgb_to_hsv

  assert rgb_to_hsv(0, 0, 0) == (0, 0, 0)
  assert sys.modules["colorsys"].rgb_to_hsv is rgb_to_hsv
  assert stand_in.hls_to_rgb is sys.modules["colorsys"].hls_to_rgb
  with pytest.raises(ImportError, match="cannot import name 'nothing'"):
    exec("from colorsys import nothing")


def test_other_weights_are_refused_before_the_process_starts():
  with pytest.raises(ValueError, match="made these codes"):
    codec.load(
      paths.CODECS["demo"], expected_checksum="0" * 64, own_process=True
    )
