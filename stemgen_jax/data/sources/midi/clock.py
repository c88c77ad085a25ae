"""Convert ticks of a MIDI file to seconds, and place its beats."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

_TEMPO = 500_000  # microseconds of a quarter note where none is set
_FASTEST = 20  # beats per second on average, above which there are no beats
_LARGEST = 64  # numerator and denominator of a meter

Meter = tuple[int, int]  # such as (6, 8)


@dataclasses.dataclass(frozen=True, eq=False)
class Clock:
  """The tempo map of a file.

  Attributes:
    ticks: ticks at which the tempo changes, ascending from 0.
    seconds: times of these.
    rates: seconds per tick from there on.
  """

  ticks: Int[np.ndarray, " n"]
  seconds: Float[np.ndarray, " n"]
  rates: Float[np.ndarray, " n"]

  def at(self, ticks: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the times of ticks in seconds."""
    ticks = np.asarray(ticks, np.float64)
    index = np.searchsorted(self.ticks, ticks, side="right") - 1
    return self.seconds[index] + (ticks - self.ticks[index]) * self.rates[index]


def make(
  tempos: Sequence[tuple[int, int]],
  ticks_per_beat: int | None,
  ticks_per_second: float | None,
) -> Clock:
  """Return the clock of a file.

  Args:
    tempos: (tick, microseconds per quarter note), ascending; unused with
      SMPTE time.
    ticks_per_beat: ticks of a quarter note; None with SMPTE time.
    ticks_per_second: ticks of a second with SMPTE time.
  """
  if ticks_per_beat is None:
    assert ticks_per_second is not None
    start = np.zeros(1)
    return Clock(start.astype(int), start, start + 1 / ticks_per_second)
  changes = dict([(0, _TEMPO), *tempos])  # the last one of a tick counts
  ticks = np.array(list(changes))
  rates = np.array(list(changes.values())) / (1e6 * ticks_per_beat)
  # [n]: time of each change, from the lengths of the spans before it
  seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * rates[:-1])])
  return Clock(ticks, seconds, rates)


def is_compound(meter: Meter) -> bool:
  """Return True if a beat has three eighths, as in 6/8."""
  return meter[1] == 8 and meter[0] > 3 and meter[0] % 3 == 0


def is_meter(meter: Meter) -> bool:
  """Return True if a bar of this meter can be counted."""
  return 1 <= meter[0] <= _LARGEST and 1 <= meter[1] <= _LARGEST


def beats(
  clock: Clock,
  meters: Sequence[tuple[int, Meter]],
  ticks_per_beat: int | None,
  end: int,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
  """Return the times of beats and downbeats before a tick.

  A change of meter begins a bar. There are none with SMPTE time, or if they
  would be faster than music.

  Args:
    clock: tempo map.
    meters: (tick, meter), ascending from tick 0.
    ticks_per_beat: ticks of a quarter note; None with SMPTE time.
    end: last tick.
  """
  if ticks_per_beat is None:
    return (), ()
  found: list[np.ndarray] = []
  downs: list[np.ndarray] = []
  total, most = 0, _FASTEST * float(clock.at([end])[0])
  stops = [*(tick for tick, _ in meters[1:]), end]
  for (start, (count, unit)), stop in zip(meters, stops):
    step, per_bar = ticks_per_beat * 4 / unit, count
    if is_compound((count, unit)):
      step, per_bar = step * 3, count // 3
    number = math.ceil(max(0, min(stop, end) - start) / step)
    total += number
    if total > most + 1:
      return (), ()
    ticks = start + np.arange(number) * step
    found.append(ticks)
    downs.append(ticks[::per_bar])
  return (
    tuple(clock.at(np.concatenate(found)).tolist()),
    tuple(clock.at(np.concatenate(downs)).tolist()),
  )
