"""Bars, grids written as text, swing, and the clock that times them."""

import dataclasses

from numpy.random import Generator


@dataclasses.dataclass(frozen=True)
class Meter:
  """A bar counted in steps of a sixteenth note."""

  name: str
  bar: int  # steps per bar
  beat: int  # steps per felt beat: a dotted quarter in 6/8


METERS = {
  "4/4": Meter("4/4", 16, 4),
  "3/4": Meter("3/4", 12, 4),
  "6/8": Meter("6/8", 12, 6),
}


@dataclasses.dataclass(frozen=True)
class Hit:
  """One symbol of a grid, with its start and length in steps."""

  step: int
  length: int
  symbol: str


def parse_grid(grid: str) -> tuple[list[Hit], int]:
  """Return the hits of a grid, and its length in steps.

  One character per sixteenth: "." is silence, "-" holds the previous note, any
  other character is a symbol that the player interprets (see `genre`). Spaces
  and "|" are ignored.
  """
  hits: list[Hit] = []
  steps = [character for character in grid if character not in " |\n"]
  for step, symbol in enumerate(steps):
    if symbol == "-" and hits:
      hits[-1] = dataclasses.replace(hits[-1], length=step - hits[-1].step + 1)
    elif symbol not in ".-":
      hits.append(Hit(step, 1, symbol))
  return hits, len(steps)


def vary(hits: list[Hit], beat: int, rng: Generator) -> list[Hit]:
  """Vary a grid: omit a few hits off the beat, strike a few long ones twice."""
  played = []
  for hit in hits:
    chance, half = rng.random(), hit.length // 2
    if hit.length >= 4 and chance < 0.1:
      played.append(Hit(hit.step, half, hit.symbol))
      played.append(Hit(hit.step + half, hit.length - half, hit.symbol))
    elif hit.step % beat == 0 or chance < 0.9:
      played.append(hit)
  return played


@dataclasses.dataclass(frozen=True)
class Clock:
  """A clock that converts steps to seconds.

  Attributes:
    meter: meter of the song.
    tempo: beats (`Meter.beat`) per minute.
    swing: share of a pair of notes that the first one takes; 0.5 is straight,
      0.667 triplets.
    pair: steps in such a pair: 4 swings eighths, 2 sixteenths.
  """

  meter: Meter
  tempo: float
  swing: float = 0.5
  pair: int = 4

  @property
  def step_seconds(self) -> float:
    """Length of a step without swing, in seconds."""
    return 60 / self.tempo / self.meter.beat

  def seconds(self, step: float) -> float:
    """Return the time of a step, which may be a fraction, in seconds."""
    pairs, inside = divmod(step / self.pair, 1)
    if inside < 0.5:
      inside *= 2 * self.swing
    else:
      inside = self.swing + (inside - 0.5) * 2 * (1 - self.swing)
    return (pairs + inside) * self.pair * self.step_seconds
