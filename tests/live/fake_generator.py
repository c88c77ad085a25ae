"""A generator without a model, and an engine on a simulated clock."""

from collections.abc import Callable

import numpy as np

from stemgen_jax.live import stream
from stemgen_jax.live.clock import SimulatedClock, SimulatedWorker
from stemgen_jax.live.engine import Engine
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.line import FADE, Chunk
from stemgen_jax.live.request import Controls, Generated, Request

RATE = 1000


class FakeGenerator:
  """Make chunks of a constant, their number, in time that a test chooses."""

  passes = (4, 12, 40)
  dtype = "float32"

  def __init__(self, clock, *, each=0.01, other=0.1, channels=1):
    self.clock, self.each, self.other = clock, each, other
    self.requests, self.rungs, self.stalls = [], [], {}
    self.fails, self.channels = set(), channels
    self.sound: Callable[[Request], np.ndarray] | None = None

  def __call__(self, request, rung):
    number = len(self.requests) + 1
    self.requests.append(request)
    self.rungs.append(rung)
    sampling = self.passes[rung] * self.each + self.stalls.get(number, 0.0)
    self.clock.spend(sampling + self.other)
    if number in self.fails:
      raise ValueError(f"chunk {number}")
    length = request.stop - request.start
    samples = np.full((length + FADE, self.channels), number, np.float32)
    if self.sound:
      loop = self.sound(request)
      samples = np.concatenate([loop, loop[:FADE]])
    before = request.voices[-1][1]
    chunk = Chunk(
      start=request.start,
      samples=samples,
      follows=before.start if before and before.end == request.start else None,
    )
    return Generated(chunk, sampling, self.other)


class Stage:
  """An engine that plays what it is given, on a simulated clock."""

  def __init__(self, layers=("bass",), *, rate=RATE, grid=True, **arguments):
    self.clock = SimulatedClock()
    self.generator = FakeGenerator(self.clock)
    self.rate, self.out = rate, []
    self.engine = Engine(
      self.generator,
      {name: Controls(stem=name) for name in layers},
      clock=self.clock,
      worker=SimulatedWorker(self.clock, measured=False),
      sample_rate=rate,
      channels=1,
      grid=Grid(bpm=120, sample_rate=rate) if grid else None,
      **arguments,
    )

  def play(self, seconds=None, *, samples=None, source=None, **options):
    """Process silence, samples or a source; return all of the output."""
    if samples is None:
      samples = np.zeros(round((seconds or 0) * self.rate), np.float32)
    source = source or stream.blocks_of(samples[:, None], 50)
    stream.run(
      self.engine, source, self.out.append, self.clock, self.rate, **options
    )
    return np.concatenate(self.out)[:, 0]

  @property
  def said(self):
    return "\n".join(self.engine.events)
