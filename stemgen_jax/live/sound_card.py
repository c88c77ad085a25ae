"""Play along with the inputs and outputs of a sound card."""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from stemgen_jax.live.clock import Clock
from stemgen_jax.live.engine import Engine
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.stream import BLOCK

PATIENCE = 10.0
"""Seconds after which a sound card that is gone ends the performance."""

_LOST = 1.0  # seconds without a call
_LOOK = 0.05  # seconds between looks at the stream
_CLICK_SECONDS = 0.02

Samples = Float32[np.ndarray, "n c"]


def clicks(grid: Grid, bars: int, channels: int) -> Samples:
  """Return a count-in: a click on every beat, the first of a bar higher."""
  count = bars * grid.beats_per_bar
  sound = np.zeros((grid.beats(count), channels), np.float32)
  time = np.arange(round(_CLICK_SECONDS * grid.sample_rate)) / grid.sample_rate
  for beat in range(count):
    pitch = 1000 if beat % grid.beats_per_bar else 1500
    click = 0.3 * np.sin(2 * np.pi * pitch * time) * np.exp(-200 * time)
    start = grid.beats(beat)
    sound[start : start + len(click)] = click[:, None]
  return sound


class SoundCard:
  """A duplex stream whose callback is `Engine.process`.

  Args:
    engine: the engine.
    clock: clock of the stream.
    backend: the module `sounddevice`.
    device: device of `sounddevice.Stream`; None for the default ones.
    channels: channels of inputs and outputs.
    count_in: sound before the first block of the engine.
    monitor: add the input to the output.

  Attributes:
    flags: blocks that the sound card lost or got too late.
    losses: times that the sound card was gone.
  """

  def __init__(
    self,
    engine: Engine,
    clock: Clock,
    *,
    backend: Any,
    device: Any = None,
    channels: int,
    count_in: Samples | None = None,
    monitor: bool = False,
  ):
    self._engine, self._clock, self._backend = engine, clock, backend
    self._device, self._channels, self._monitor = device, channels, monitor
    self._before = np.zeros((0, channels), np.float32)
    if count_in is not None:
      self._before = count_in
    self._played: deque[Samples] = deque()
    self._stream: Any = None
    self._error: Exception | None = None
    self._last = 0.0
    self.flags = self.losses = 0

  @property
  def latency(self) -> float:
    """Seconds from the processing of a sample to its sound."""
    return self._stream.latency[1] if self._stream is not None else 0.0

  def run(
    self,
    write: Callable[[Samples], object],
    *,
    stop: Callable[[], bool],
    advance: Callable[[], object] = lambda: None,
  ) -> str:
    """Play until `stop`, or until the sound card is gone for long.

    Args:
      write: function that takes blocks of the output, without the count-in.
      stop: function that returns whether to stop.
      advance: function called all the time, such as for a display.

    Returns:
      "", or why the performance ended.

    Raises:
      OSError: the sound card cannot be opened at first.
      Exception: an error of the engine.
    """
    self._open()
    try:
      while not stop():
        self._clock.wait(self._clock.now() + _LOOK)
        advance()
        if self._is_gone() and not self._reopen(advance):
          return f"the sound card was gone for {PATIENCE:g} s"
        while self._played:
          write(self._played.popleft())
        if self._error is not None:
          raise self._error
        if self._engine.failing:
          raise self._engine.failures[-1]
    finally:
      self._close()
      while self._played:
        write(self._played.popleft())
    return ""

  def _open(self) -> None:
    try:
      self._stream = self._backend.Stream(
        samplerate=self._engine.sample_rate,
        blocksize=BLOCK,
        device=self._device,
        channels=self._channels,
        dtype="float32",
        callback=self._call,
      )
      if self.losses:
        # The music has continued: bar lines stay in their places.
        # Before the start, as the engine is for one thread at a time.
        self._skip(self._clock.now() - self._last)
      self._last = self._clock.now()
      self._stream.start()
    except (self._backend.PortAudioError, ValueError) as error:
      self._close()
      raise OSError(
        f"sound card {self._device or 'default'}: {error}; expected one with "
        f"{self._channels} inputs and outputs at {self._engine.sample_rate} Hz"
      ) from error

  def _close(self) -> None:
    if self._stream is not None:
      with contextlib.suppress(self._backend.PortAudioError):
        self._stream.close()
    self._stream = None

  def _is_gone(self) -> bool:
    silent = self._clock.now() - self._last > _LOST
    return self._stream is None or not self._stream.active or silent

  def _reopen(self, advance: Callable[[], object]) -> bool:
    """Wait for the sound card; return whether it is back."""
    self.losses += 1
    self._engine.events.append("the sound card is gone")
    self._close()
    until = self._last + PATIENCE
    while self._clock.now() < until:
      with contextlib.suppress(OSError):
        self._open()
        self._engine.events.append("the sound card is back")
        return True
      self._clock.wait(self._clock.now() + 1.0)
      advance()
    return False

  def _skip(self, seconds: float) -> None:
    """Let the engine process silence."""
    left = round(seconds * self._engine.sample_rate)
    while left > 0:
      block = np.zeros((min(left, BLOCK), self._channels), np.float32)
      self._process(block)
      left -= len(block)

  def _call(
    self, indata: Samples, outdata: Samples, frames: int, time: Any, status: Any
  ) -> None:
    """Process one block; called by the thread of the sound card."""
    del time
    self._last = self._clock.now()
    self.flags += bool(status)
    try:
      counted = min(frames, len(self._before))
      outdata[:counted] = self._before[:counted]
      self._before = self._before[counted:]
      if counted < frames:
        outdata[counted:] = self._process(indata[counted:].copy())
    except Exception as error:  # it would end the stream without a word
      outdata[:] = 0
      self._error = error

  def _process(self, block: Samples) -> Samples:
    out = self._engine.process(block)
    out = block + out if self._monitor else out
    self._played.append(out)
    return out
