"""Move the blocks of a stream through an engine, in time."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32

from stemgen_jax.live.clock import Clock
from stemgen_jax.live.engine import Engine

BLOCK = 512
"""Samples that are processed at a time."""

Blocks = Iterable[Float32[np.ndarray, "n c"]]


def blocks_of(samples: Float32[np.ndarray, "n c"], size: int = BLOCK) -> Blocks:
  """Yield the samples of a sound in blocks."""
  for start in range(0, len(samples), size):
    yield samples[start : start + size]


def run(
  engine: Engine,
  source: Blocks,
  sink: Callable[[Float32[np.ndarray, "n c"]], object],
  clock: Clock,
  sample_rate: int,
  *,
  monitor: bool = False,
  advance: Callable[[], object] = lambda: None,
) -> None:
  """Process a source at the speed of the clock, and no faster.

  A source that is slower, or stops, delays the stream by as much; later
  blocks do not catch up. The output has its samples, one for one.

  Args:
    engine: the engine.
    source: blocks of the input; its iterator may wait for them.
    sink: function that takes blocks of the output.
    clock: clock of the stream.
    sample_rate: sample rate of the stream in Hz.
    monitor: add the input to the output.
    advance: function called after every block, such as for a display.

  Raises:
    Exception: the last of three errors of the generator in a row.
  """
  began = clock.now() - engine.position / sample_rate  # continue there
  for block in source:
    # When its last sample would have been recorded.
    due = began + (engine.position + len(block)) / sample_rate
    began += max(0.0, clock.now() - due)
    clock.wait(due)
    out = engine.process(block)
    sink(block + out if monitor else out)
    advance()
    if engine.failing:
      raise engine.failures[-1]
