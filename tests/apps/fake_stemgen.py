"""A stand-in for StemGen without a model."""

import types
import warnings

import numpy as np

from stemgen_jax import categories
from stemgen_jax.audio import Audio
from stemgen_jax.codec.framing import Framing
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation import stemgen
from stemgen_jax.generation.take import GenerationWarning


class FakeStemGen:
  """Return a hum whose pitch is the seed, at a level that tests choose."""

  name = "demo"
  config = types.SimpleNamespace(conditions=("category",))
  level = 0.1
  notes = ()
  knows = ("bass", "drums")

  def __init__(self):
    self.asked, self.device, self.dtype = [], "", ""

  def load(self, weights, *, codec, codec_device, codec_backend, dtype):
    self.asked.append((weights, codec))
    self.device = codec_device
    self.dtype = "float32" if dtype == "auto" else dtype
    return self

  def run(self, request):
    self.asked.append(request)
    if untrained := categories.untrained(request.stem, self.knows):
      warnings.warn(untrained, GenerationWarning, stacklevel=2)
    return self.takes(request)

  def takes(self, request):
    settings, form = request.settings, request.sound
    if form is None and request.edit:
      form = request.edit.take.audio
    if form is None:
      form = Audio(np.zeros((int(request.seconds * 32000), 1), "f4"), 32000)
    for seed in request.seeds:
      for note in self.notes:
        warnings.warn(note, GenerationWarning, stacklevel=2)
      for level in range(4):
        request.progress(settings.steps_at(level), 100)
      t = np.arange(len(form.samples))[:, None] / form.sample_rate
      codes = np.zeros((-(-50 * len(t) // form.sample_rate), 4), np.int32)
      hum = self.level * np.sin(2 * np.pi * (100 + seed) * t)
      yield stemgen.Take(
        audio=Audio(
          np.repeat(hum, form.channels, axis=1).astype(np.float32),
          form.sample_rate,
        ),
        codec_device=self.device,
        dtype=self.dtype,
        codes=codes,
        context=context_lib.EncodedContext(
          codes=codes,
          gain=1.0,
          inverse_gain=1.0,
          level_db=-20.0,
          from_nothing=request.sound is None,
          loop=request.loop,
          samples=len(form.samples),
          sample_rate=form.sample_rate,
          channels=form.channels,
          framing=Framing(hop=1),
          stretch=form.sample_rate / 50,
        ),
        seed=seed,
        settings=settings,
        stem=request.stem,
        weights="demo",
        codec_checksum="abc",
        elapsed=2.0,
        compiling=7.0,
        passes=64,
        flops=1e9,
        warnings=self.notes,
      )
