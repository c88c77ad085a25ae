"""A session of Ableton Link on a simulated clock."""


class Session:
  """A session whose beats follow from a clock."""

  num_peers = 1

  def __init__(self, clock, bpm, beat=0.0):
    self.clock, self.tempo = clock, bpm
    self.at, self.beat_then = clock.now(), beat

  @property
  def beat(self):
    return self.beat_then + (self.clock.now() - self.at) * self.tempo / 60

  @property
  def phase(self):
    return self.beat % 4

  def change(self, bpm, skip=0.0):
    """Set another tempo, and skip beats."""
    self.beat_then = self.beat + skip
    self.at, self.tempo = self.clock.now(), bpm

  def off(self, samples, rate):
    """Return the beats between a bar line and so many samples ago."""
    beat = self.beat - samples / rate * self.tempo / 60
    return abs(beat - 4 * round(beat / 4))
