"""Follow the tempo and the bars of an Ableton Link session."""

import asyncio
import importlib
from collections import deque
from collections.abc import Callable
from typing import Any

from stemgen_jax.live.beats import Beats
from stemgen_jax.live.clock import Clock
from stemgen_jax.live.engine import Engine

_EVERY = 0.25  # seconds between looks at the session
_LOOKS = 16
_SAME = 1e-4  # relative; of tempi
# Seconds. The engine's position is known to a block, 12 ms.
_TOLERANCE, _MOVED = 0.015, 0.03


class Link:
  """Gives the beats of a session to an engine.

  Args:
    session: an `aalink.Link`, or an object with its `tempo`, `phase` and
      `num_peers`.
    clock: clock of the stream.
    beats_per_bar: beats of a bar.
    latency: function that returns the seconds from the processing of a sample
      to its sound.
  """

  def __init__(
    self,
    session: Any,
    clock: Clock,
    *,
    beats_per_bar: int = 4,
    latency: Callable[[], float] = lambda: 0.0,
  ):
    self._session, self._clock = session, clock
    self._beats_per_bar, self._latency = beats_per_bar, latency
    self._bpm, self._peers, self._next = 0.0, -1, 0.0
    # Samples of bar lines, each as one look found it.
    self._found: deque[float] = deque(maxlen=_LOOKS)

  def advance(self, engine: Engine) -> None:
    """Look at the session, if it is time, and pass on its beats."""
    now = self._clock.now()
    if engine.grid is not None and now < self._next:
      return
    self._next = now + _EVERY
    bpm, phase = self._session.tempo, self._session.phase
    if (peers := self._session.num_peers) != self._peers:
      self._peers = peers
      engine.events.append(f"link: {peers} other programs, {bpm:.1f} bpm")
    rate = engine.sample_rate
    period = self._beats_per_bar * 60 * rate / bpm
    # The bar line before the sample that sounds now.
    seconds = self._latency() + phase * 60 / bpm
    line = engine.position - seconds * rate
    if not self._bpm or abs(bpm / self._bpm - 1) > _SAME:
      self._bpm = bpm
      self._found.clear()
    if self._found:
      # In the bar of the earlier looks.
      line -= round((line - self._found[-1]) / period) * period
      if abs(line - self._found[-1]) > _MOVED * rate:
        self._found.clear()
    self._found.append(line)
    middle = sorted(self._found)[len(self._found) // 2]
    beats = Beats(self._bpm, middle, rate, every=self._beats_per_bar)
    engine.follow(beats, _TOLERANCE)


def open_session(bpm: float, beats_per_bar: int) -> Any:
  """Join the session of this network, or start one.

  Args:
    bpm: tempo of a session that is started.
    beats_per_bar: beats after which programs are in phase.

  Raises:
    ModuleNotFoundError: aalink is not installed.
  """
  aalink = importlib.import_module("aalink")

  async def join() -> Any:  # it needs a running loop
    return aalink.Link(bpm)

  session = asyncio.run(join())
  session.quantum = float(beats_per_bar)
  session.enabled = True
  return session
