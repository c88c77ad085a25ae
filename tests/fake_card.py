"""A sound card without sound, on a simulated clock."""

import numpy as np

from stemgen_jax.live.clock import SimulatedClock
from stemgen_jax.live.stream import BLOCK

RATE = 5120  # ten blocks a second


class Card(SimulatedClock):
  """A clock that calls back as time passes, and the module `sounddevice`."""

  PortAudioError = RuntimeError
  latency = (0.01, 0.03)  # of inputs and outputs

  def __init__(self):
    super().__init__()
    self.gone, self.callback, self.opened = [], None, 0
    self.status, self.heard = None, []

  def is_gone(self):
    return any(start <= self.seconds < end for start, end in self.gone)

  def Stream(self, **given):
    if self.is_gone():
      raise RuntimeError("Device unavailable")
    assert given["blocksize"] == BLOCK
    self.given = given
    return self

  def start(self):
    self.callback, self.opened = self.given["callback"], self.opened + 1

  def close(self):
    self.callback = None

  @property
  def active(self):
    return not self.is_gone()

  def wait(self, until):
    step = BLOCK / RATE
    while self.seconds < until - 1e-9:
      block = int(self.seconds / step + 1e-6)
      self.seconds = min(until, (block + 1) * step)
      whole = abs(self.seconds / step - round(self.seconds / step)) < 1e-6
      if whole and self.callback and not self.is_gone():
        out = np.full((BLOCK, 2), np.nan, np.float32)
        sound = np.full((BLOCK, 2), 0.5, np.float32)
        self.callback(sound, out, BLOCK, None, self.status)
        self.heard.append(out)
