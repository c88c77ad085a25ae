"""Generate layers that repeat with a loop."""

import dataclasses
import time
import warnings
from collections.abc import Collection

import numpy as np
from jaxtyping import Float32

from stemgen_jax import sampling
from stemgen_jax.audio import Audio
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation import engine as engine_lib
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.generation.take import GenerationWarning
from stemgen_jax.live import ladder
from stemgen_jax.live.line import FADE, Chunk
from stemgen_jax.live.request import Controls, Generated, Request, variants
from stemgen_jax.model.products import resolve_dtype


class Loops:
  """A `request.Generator` whose chunks are loops, for the latest period.

  Args:
    stemgen: model and codec.
    settings: settings with the most passes.
    loop: one period of the user's loop, which begins with the stream.
    given: names of the conditions that the layers have.

  Raises:
    ValueError: the codec encodes segments of its own.
  """

  def __init__(
    self,
    stemgen: StemGen,
    settings: sampling.Settings,
    loop: Audio,
    *,
    given: Collection[str] = ("category",),
  ):
    self._stemgen, self._loop = stemgen, loop
    codec, config = stemgen.codec, stemgen.config
    frames = context_lib.count_frames(codec, loop.seconds, loop=True)
    # All codes are sampled, then those around the seam again.
    mask = np.zeros((frames, codec.levels), bool)
    scaled = engine_lib.with_guidance(settings, config.conditions, given)
    rungs = ladder.rungs(scaled, config, mask, codec, loop=True)
    self.passes, self._settings = tuple(rungs), tuple(rungs.values())
    self.dtype = resolve_dtype(config.dtype)
    self.seconds = loop.seconds

  def rehearse(self, plain: Controls) -> Generated:
    """Compile all programs, and measure a chunk of the fewest passes."""
    request = Request(
      layer="",
      bar=0,
      start=0,
      stop=len(self._loop.samples),
      known=0,
      controls=plain,
      read=lambda start, stop: np.zeros(
        (stop - start, self._loop.channels), np.float32
      ),
    )
    for controls in variants(plain, self._stemgen.config.conditions):
      self(dataclasses.replace(request, controls=controls), 0)
    return self(request, 0)

  def __call__(self, request: Request, rung: int) -> Generated:
    """See `request.Generator`."""
    began = time.perf_counter()
    controls = request.controls
    with warnings.catch_warnings():
      warnings.simplefilter("ignore", GenerationWarning)
      take = self._stemgen.generate(
        Audio(self._context(request), self._loop.sample_rate),
        controls.stem,
        genre=controls.genre,
        role=controls.role,
        seed=controls.seed,
        loop=True,
        settings=controls.guided(self._settings[rung]),
        progress=False,
      )
    # Begins with the phase of its start; its further samples are its first.
    samples = np.roll(take.audio.samples, -request.start, axis=0)
    samples = np.concatenate([samples, samples[:FADE]])
    sampling = max(0.0, take.seconds["generate"])
    other = time.perf_counter() - began - sampling
    return Generated(
      Chunk(start=request.start, samples=samples, take=take), sampling, other
    )

  def _context(self, request: Request) -> Float32[np.ndarray, "n c"]:
    """Return the latest period of the context, from its phase 0."""
    period = len(self._loop.samples)
    latest = request.read(request.known - period, request.known)
    if (missing := period - request.known) > 0:
      # Before the stream: the loop alone. At the phase of sample known.
      latest[:missing] = np.roll(self._loop.samples, -request.known, 0)[
        :missing
      ]
    return np.roll(latest, request.known % period, axis=0)
