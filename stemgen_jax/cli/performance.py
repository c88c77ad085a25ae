"""Play along: the stream of the live command, its display and its keys."""

import contextlib
import importlib
import pathlib
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from stemgen_jax import audio
from stemgen_jax.audio import Audio, recorder
from stemgen_jax.cli.flags.takes import BITS
from stemgen_jax.live import clock, commands, display, link, pcm, stream
from stemgen_jax.live.engine import Engine
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.options import Change, Options
from stemgen_jax.live.pace import Figures
from stemgen_jax.live.request import Controls, Generated, Generator, Request
from stemgen_jax.live.sound_card import SoundCard, clicks

PIPE = "-"
"""Name of standard input and output."""


class Plan(NamedTuple):
  """The checked flags.

  Attributes:
    sound: the context, if it is a file.
    sample_rate: sample rate of the stream in Hz.
    channels: channels of the stream.
    layers: controls of each layer, by name.
    grid: bar lines; None to detect them.
    options: see `engine.Options`.
    enter: first bars of layers.
    script: changes by their bars.
    out: the file to write, if any.
    session: session of Ableton Link, if any.
    conditions: names of the conditions of the weights.
  """

  sound: Audio | None
  sample_rate: int
  channels: int
  layers: dict[str, Controls]
  grid: Grid | None
  options: Options
  enter: dict[str, int]
  script: list[tuple[int, Change]]
  out: pathlib.Path | None
  session: Any = None
  conditions: Collection[str] = ()


class _Untimed:
  """A generator whose work takes no time, so that no pass is left out."""

  def __init__(self, generator: Generator):
    self._generator = generator
    self.passes, self.dtype = generator.passes, generator.dtype

  def __call__(self, request: Request, rung: int) -> Generated:
    return self._generator(request, rung).untimed()


class _Level:
  """Apply a gain to blocks, and measure their peak."""

  def __init__(self, gain_db: float):
    self._gain = np.float32(10 ** (gain_db / 20))
    self.peak = 0.0

  def before(
    self, sink: Callable[[np.ndarray], object]
  ) -> Callable[[np.ndarray], None]:
    """Return a function that passes blocks on to a sink."""

    def write(block: np.ndarray) -> None:
      block = block * self._gain
      self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
      sink(block)

    return write


def play(
  values: flags.FlagValues,
  plan: Plan,
  generator: Generator,
  rehearsed: Generated,
) -> tuple[Figures, str]:
  """Run the stream to its end, or to Ctrl-C.

  Returns:
    The figures, and why the sound card ended it, if it did.
  """
  wall = values.realtime or plan.sound is None
  if wall:
    time = clock.WallClock()
    worker: clock.Worker = clock.ThreadWorker(time)
  else:
    time = clock.SimulatedClock()
    worker = clock.SimulatedWorker(time, measured=not values.untimed)
  if values.untimed:
    generator, rehearsed = _Untimed(generator), rehearsed.untimed()
  engine = Engine(
    generator,
    plan.layers,
    clock=time,
    worker=worker,
    sample_rate=plan.sample_rate,
    channels=plan.channels,
    grid=plan.grid,
    beats_per_bar=values.beats_per_bar,
    options=plan.options,
    enter=plan.enter,
    script=plan.script,
  )
  engine.warm(0, rehearsed.sampling, rehearsed.other)
  if wall and values.context != PIPE and sys.stdin.isatty():
    _listen_to_keys(engine, plan)
  show, why = _display(engine, values), ""
  level = _Level(values.gain_db)
  # The usual end of a performance: its output is written.
  ending = contextlib.suppress(*([KeyboardInterrupt] if wall else []))
  with contextlib.closing(worker), _sink(values, plan) as sink, ending:
    write = level.before(sink)
    if values.device is not None:
      card = _sound_card(values, plan, engine, time)
      advance = _advance(values, plan, engine, time, show, lambda: card.latency)
      why = card.run(write, stop=lambda: False, advance=advance)
    else:
      stream.run(
        engine,
        _source(values, plan),
        write,
        time,
        plan.sample_rate,
        monitor=values.monitor,
        advance=_advance(values, plan, engine, time, show),
      )
      _warn(engine, values, plan)  # unless Ctrl-C was its end
  if level.peak > 1 and values.bits != "float":
    most = values.gain_db - audio.to_db(level.peak) - 0.1
    print(
      f"warning: the output was clipped: expected --gain_db={most:.1f} or less",
      file=sys.stderr,
    )
  return engine.figures, why


def _warn(engine: Engine, values: flags.FlagValues, plan: Plan) -> None:
  """Print what the performance was too short for."""
  if not engine.figures.on_time + engine.figures.late:
    seconds = engine.position / engine.sample_rate
    longer = "more --repeats" if values.loop else "longer music"
    known = "" if values.bpm or values.loop else ", or --bpm"
    print(
      f"warning: no chunk entered in {seconds:.1f} s: expected {longer}{known}",
      file=sys.stderr,
    )
  if engine.grid is None:
    return
  last = engine.grid.first_bar_from(engine.position) - 1
  # --change_every ends in time: these are lines of --script.
  if after := [bar + 1 for bar, _ in plan.script if bar > last]:
    print(
      f"warning: {len(after)} changes of --script, from bar {after[0]}, are "
      f"after the end, bar {last + 1}",
      file=sys.stderr,
    )


def _advance(
  values: flags.FlagValues,
  plan: Plan,
  engine: Engine,
  time: clock.Clock,
  show: Callable[[], None],
  latency: Callable[[], float] = lambda: 0.0,
) -> Callable[[], None]:
  """Return `show`, after a look at the session of Ableton Link, if any."""
  if plan.session is None:
    return show
  follower = link.Link(
    plan.session, time, beats_per_bar=values.beats_per_bar, latency=latency
  )
  follower.advance(engine)  # so that its first block has bar lines

  def advance() -> None:
    follower.advance(engine)
    show()

  return advance


def sound_cards() -> Any:
  """Return the module `sounddevice`.

  Raises:
    ImportError: it is not installed.
    OSError: the library PortAudio is not.
  """
  try:
    return importlib.import_module("sounddevice")
  except OSError as error:
    raise OSError(
      f"{error}: expected PortAudio; install libportaudio2"
    ) from error


def _sound_card(
  values: flags.FlagValues, plan: Plan, engine: Engine, time: clock.Clock
) -> SoundCard:
  device: Any = None
  if values.device != "default":
    names = [x.strip() for x in values.device.split(",")]
    names = [int(x) if x.isdecimal() else x for x in names]
    device = names[0] if len(names) == 1 else tuple(names)
  count_in = None
  if plan.grid is not None:
    count_in = clicks(plan.grid, values.count_in, plan.channels)
  return SoundCard(
    engine,
    time,
    backend=sound_cards(),
    device=device,
    channels=plan.channels,
    count_in=count_in,
    monitor=values.monitor,
  )


def _source(values: flags.FlagValues, plan: Plan) -> stream.Blocks:
  if plan.sound is None:
    return pcm.read(
      sys.stdin.buffer, plan.channels, floats=values.bits == "float"
    )
  samples = plan.sound.samples
  repeats = values.repeats if values.loop else 1
  return (block for _ in range(repeats) for block in stream.blocks_of(samples))


@contextlib.contextmanager
def _sink(
  values: flags.FlagValues, plan: Plan
) -> Iterator[Callable[[Any], object]]:
  if values.device is not None and plan.out is None:
    yield lambda block: None
    return
  if plan.out is None:
    # Not sys.stdout, which is redirected.
    yield pcm.writer(sys.__stdout__, floats=values.bits == "float")
    return
  bits = BITS[values.bits]
  with recorder.writing(
    plan.out, plan.sample_rate, plan.channels, bits
  ) as write:
    yield write


def _display(engine: Engine, values: flags.FlagValues) -> Callable[[], None]:
  """Return a function that prints what happened, and the state at times."""
  terminal = sys.stderr.isatty() and values.out != PIPE
  every, last = engine.sample_rate // 5, 0

  def show() -> None:
    nonlocal last
    while engine.events:
      clear = "\r\x1b[K" if terminal else ""
      print(f"{clear}{engine.events.popleft()}")
    if terminal and engine.position - last >= every:
      last = engine.position
      print(
        f"\r\x1b[K{display.line(engine)}", end="", file=sys.stderr, flush=True
      )

  return show


def _listen_to_keys(engine: Engine, plan: Plan) -> None:
  """Let a thread apply the commands that are typed."""
  print(f"type {commands.HELP}")

  def listen() -> None:
    for line in sys.stdin:
      try:
        if line.strip() == commands.SYNC:
          engine.resync()
        elif line.strip():
          change = commands.parse(line.strip(), plan.layers, plan.conditions)
          engine.change(change)
      except ValueError as error:
        print(error, file=sys.stderr)

  threading.Thread(target=listen, daemon=True).start()
