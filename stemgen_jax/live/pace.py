"""Choose the number of passes so that chunks are ready in time."""

import itertools
from collections import deque
from collections.abc import Sequence

import numpy as np

SHARE = 0.5
"""Share of the remaining time that the 95th percentile may take.

The other half is for stalls, and for the programs that play the music.
"""

CHANGE_SHARE = 0.8
"""The same of a change that somebody waits for, at the fewest passes."""

_RECENT = 32  # chunks whose times count
_LATE = 8  # chunks for which fewer passes are taken after a late one


class Pace:
  """Times of recent chunks, and the passes that suit them.

  Args:
    passes: passes of the model per chunk at each rung, ascending.
  """

  def __init__(self, passes: Sequence[int]):
    if not passes or any(a >= b for a, b in itertools.pairwise(passes)):
      raise ValueError(f"passes {list(passes)}: expected ascending numbers")
    self.passes = tuple(passes)
    # (seconds of encoding and decoding, seconds of one pass)
    self._times: deque[tuple[float, float]] = deque(maxlen=_RECENT)
    self._most, self._on_time = len(passes) - 1, 0

  def record(self, rung: int, sampling: float, other: float) -> None:
    """Add the times of a chunk.

    Args:
      rung: rung of its passes.
      sampling: seconds of its passes.
      other: all other seconds.
    """
    self._times.append((other, sampling / self.passes[rung]))

  def entered(self, late: bool) -> None:
    """Note whether a chunk was late; fewer passes follow a late one."""
    if late:
      self._most, self._on_time = max(0, self._most - 1), 0
      return
    self._on_time += 1
    if self._on_time >= _LATE:
      self._most = min(self._most + 1, len(self.passes) - 1)
      self._on_time = 0

  def expected(self, rung: int, share: float = 0.95) -> float:
    """Return a quantile of the seconds of a chunk; 0 at first."""
    # A copy in one step: another thread may append.
    times = tuple(self._times)
    if not times:
      return 0.0
    other, each = np.array(times).T
    return float(np.quantile(other + self.passes[rung] * each, share))

  def choose(self, seconds: float, slack: float) -> int | None:
    """Return the rung of the most passes that fit.

    Args:
      seconds: seconds until the chunk enters.
      slack: seconds that chunks have if nothing delays them.

    Returns:
      The rung; None if a delayed chunk would usually be late at the lowest
      one. One that is not delayed is always tried, as only that measures new
      times.
    """
    for rung in range(self._most, -1, -1):
      if self.expected(rung) <= SHARE * seconds:
        return rung
    # The median: one stall among few chunks must not stop the next ones.
    possible = self.expected(0, 0.5) <= seconds
    return 0 if possible or seconds >= 0.9 * slack else None


class Figures:
  """Counts and times of a performance, in memory of a fixed size."""

  def __init__(self):
    self.seconds: deque[float] = deque(maxlen=4096)
    self.passes: deque[int] = deque(maxlen=4096)
    self.on_time = self.late = 0

  def add(self, seconds: float, passes: int) -> None:
    """Add a generated chunk: seconds from its request, and its passes."""
    self.seconds.append(seconds)
    self.passes.append(passes)

  @property
  def hit_rate(self) -> float:
    """Share of the chunks that entered in time; 1 without any."""
    total = self.on_time + self.late
    return self.on_time / total if total else 1.0

  def quantile(self, share: float) -> float:
    """Return a quantile of the seconds from request to chunk; 0 at first."""
    seconds = tuple(self.seconds)  # a copy, as in `Pace.expected`
    return float(np.quantile(seconds, share)) if seconds else 0.0

  def line(self, dtype: str, timed: bool = True) -> str:
    """Return the figures as one line, without times unless they count."""
    least, most = (f(self.passes, default=0) for f in (min, max))
    passes = f"{least}" if least == most else f"{least} to {most}"
    if not timed:
      counts = f"{self.on_time + self.late}, untimed, {self.late} late"
      return f"chunks: {counts}, {passes} passes, {dtype}"
    p50, p95, p99 = (self.quantile(x) for x in (0.5, 0.95, 0.99))
    return (
      f"chunks: p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s, "
      f"{self.late} late, hit rate {self.hit_rate:.1%}, {passes} passes, "
      f"{dtype}"
    )
