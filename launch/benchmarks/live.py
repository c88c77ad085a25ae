"""Play along for minutes in real time: times, late chunks, drift, memory.

After the steady performance come short ones that are disturbed. A sound card
that disappears and a tempo that is wrong are simulated in tests/live.
"""

import argparse
import itertools
import multiprocessing
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from stemgen_jax import audio, paths, text_tables
from stemgen_jax import codec as codec_lib
from stemgen_jax.audio import Audio
from stemgen_jax.codec import process
from stemgen_jax.generation import exported
from stemgen_jax.live import clock as clock_lib
from stemgen_jax.live import stream
from stemgen_jax.live.engine import Engine
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.options import Options
from stemgen_jax.live.request import Controls, Generated, Generator, Request

_BPM = 120.0  # of the loop
_BAR = 4 * 60 / _BPM  # seconds
_HEADER = (
  *("scene", "music s", "chunks", "p50 s", "p95 s", "p99 s", "late"),
  *("hit rate", "passes", "drift", "behind s", "block ms", "MB"),
)


class Scene(NamedTuple):
  """What disturbs a performance, in seconds of the music.

  Attributes:
    stall: seconds that the generator stalls at its second chunk.
    pause: seconds that the input stops for, halfway.
    speed: speed of the input; 0 if it is as fast as the engine takes it.
  """

  stall: float = 0.0
  pause: float = 0.0
  speed: float = 0.0


SCENES = {
  "steady": Scene(),
  "stall": Scene(stall=5.0),
  "pause": Scene(pause=5.0),
  "slow": Scene(speed=0.8),
  "fast": Scene(speed=1.25),
}


class _Stalling:
  """A generator that stalls once, and keeps the bar lines of its chunks."""

  def __init__(self, generator: Generator, scene: Scene, clock: Any):
    self._generator, self._scene, self._clock = generator, scene, clock
    self.passes, self.dtype = generator.passes, generator.dtype
    self.bars: dict[int, int] = {}

  def __call__(self, request: Request, rung: int) -> Generated:
    self.bars[request.bar] = request.start
    if len(self.bars) == 2 and self._scene.stall:
      if isinstance(self._clock, clock_lib.SimulatedClock):
        self._clock.spend(self._scene.stall)
      else:
        time.sleep(self._scene.stall)
    return self._generator(request, rung)


def run(arguments: argparse.Namespace) -> None:
  """Perform the scenes and print a row of each.

  Raises:
    ValueError: there is no such scene.
  """
  names = arguments.scenes.split(",")
  if unknown := [name for name in names if name not in SCENES]:
    raise ValueError(
      f"--scenes: {', '.join(unknown)}; expected {', '.join(SCENES)}"
    )
  codec = None
  stated = exported.read(arguments.weights).get("codec")
  if stated in paths.CODECS and process.is_useful("auto"):
    codec = codec_lib.load(stated, own_process=True)
  # After the codec's process, which cannot be forked with JAX's threads.
  from stemgen_jax import StemGen, sampling
  from stemgen_jax.live.continuation import Continuation

  loop = audio.read(paths.LOOPS / "drums.flac")
  seconds = arguments.bars * _BAR
  generator = Continuation(
    StemGen.load(arguments.weights, codec=codec),
    sampling.preset(arguments.preset),
    sample_rate=loop.sample_rate,
    channels=loop.channels,
    seconds=seconds,
    future=arguments.future,
  )
  rehearsed = generator.rehearse(Controls(stem="bass"))
  rows = []
  for name in names:
    rows.append((name, *_perform(arguments, name, generator, rehearsed, loop)))
    print(text_tables.aligned(rows[-1:], _HEADER), flush=True)
  print(
    f"\n{text_tables.markdown(rows, _HEADER)}\n\n"
    f"chunks of {arguments.bars} bars at {_BPM:g} bpm, slack "
    f"{arguments.slack:g} beats, {generator.dtype}. Drift: output minus input, "
    "and the largest distance of a chunk from its bar line, in samples. "
    "Behind: the clock minus the music. Block: the longest call of "
    "Engine.process. MB: memory after a minute and at the end."
  )


def _perform(
  arguments: argparse.Namespace,
  name: str,
  generator: Generator,
  rehearsed: Generated,
  loop: Audio,
) -> tuple[str, ...]:
  """Return the cells of a scene's row."""
  scene, rate = SCENES[name], loop.sample_rate
  seconds = 60 * arguments.minutes if name == "steady" else arguments.seconds
  clock: Any = clock_lib.WallClock()
  worker: Any = clock_lib.ThreadWorker(clock)
  if arguments.simulate:
    clock = clock_lib.SimulatedClock()
    worker = clock_lib.SimulatedWorker(clock, measured=True)
  stalling = _Stalling(generator, scene, clock)
  engine = Engine(
    stalling,
    {"bass": Controls(stem="bass")},
    clock=clock,
    worker=worker,
    sample_rate=rate,
    channels=loop.channels,
    grid=Grid(bpm=_BPM, sample_rate=rate),
    options=Options(chunk_bars=arguments.bars, slack_beats=arguments.slack),
  )
  engine.warm(0, rehearsed.sampling, rehearsed.other)
  longest, memory, count = 0.0, 0, 0
  process_block = engine.process

  def timed(block: np.ndarray) -> np.ndarray:
    nonlocal longest
    began = time.perf_counter()
    out = process_block(block)
    longest = max(longest, time.perf_counter() - began)
    return out

  def sink(block: np.ndarray) -> None:
    nonlocal count, memory
    count += len(block)
    if not memory and count >= 60 * rate:
      memory = _megabytes()

  engine.process = timed
  began = clock.now()
  stream.run(engine, _source(scene, loop, seconds, clock), sink, clock, rate)
  behind = clock.now() - began - seconds
  worker.close()
  off = max(
    (abs(start - bar * _BAR * rate) for bar, start in stalling.bars.items()),
    default=0.0,
  )
  figures = engine.figures
  passes = (min(figures.passes, default=0), max(figures.passes, default=0))
  return (
    f"{seconds:.0f}",
    str(figures.on_time + figures.late),
    *(f"{figures.quantile(x):.2f}" for x in (0.5, 0.95, 0.99)),
    str(figures.late),
    f"{figures.hit_rate:.1%}",
    "-".join(str(x) for x in sorted(set(passes))),
    f"{count - round(seconds * rate)}, {off:.1f}",
    f"{behind:.2f}",
    # A simulated worker generates chunks within it.
    "-" if arguments.simulate else f"{1000 * longest:.1f}",
    f"{memory or '-'}, {_megabytes()}",
  )


def _source(
  scene: Scene, loop: Audio, seconds: float, clock: Any
) -> Iterator[np.ndarray]:
  """Yield blocks of the repeated loop at the scene's speed."""
  left, rate, halfway = round(seconds * loop.sample_rate), loop.sample_rate, 0
  for block in itertools.cycle(stream.blocks_of(loop.samples)):
    if scene.speed:
      clock.wait(clock.now() + len(block) / rate / scene.speed)
    if scene.pause and not halfway and left < seconds * rate / 2:
      halfway = left
      clock.wait(clock.now() + scene.pause)
    yield block[:left]
    left -= len(block)
    if left <= 0:
      return


def _megabytes() -> int:
  """Return the memory of this process and of the codec's."""
  children = [x.pid for x in multiprocessing.active_children()]
  total = 0
  for pid in (os.getpid(), *children):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    total += int(text.partition("VmRSS:")[2].split()[0]) // 1024
  return total
