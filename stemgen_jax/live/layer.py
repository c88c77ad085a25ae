"""The state of one layer of an engine."""

import numpy as np

from stemgen_jax.live.line import Line
from stemgen_jax.live.request import Controls, Request
from stemgen_jax.live.ring import Ring


class Layer:
  """State of a layer of an engine.

  Attributes:
    name: name of the layer.
    controls: controls of the next chunk.
    line: what sounds.
    ring: its context.
    next_bar: bar of the next chunk to request, if any.
    pending: requests that are not answered.
    belated: start of a loop that was late; -1 without any.
    sound: its sound during the latest block.
  """

  def __init__(self, name: str, controls: Controls, line: Line, ring: Ring):
    self.name, self.controls = name, controls
    self.line, self.ring = line, ring
    self.next_bar: int | None = None
    self.pending: list[Request] = []
    self.belated = -1
    self.sound = np.zeros((0, 0), np.float32)
