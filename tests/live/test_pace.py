"""The choice of passes, and the figures of a performance."""

import pytest

from stemgen_jax.live.pace import Figures, Pace


def test_passes_follow_the_time_that_is_left():
  pace = Pace([4, 12, 40])
  for _ in range(40):
    pace.record(1, sampling=12 * 0.04, other=0.1)
  # 0.26, 0.58 and 1.7 s of half of the time, or else the lowest if it fits.
  found = [pace.choose(x, 4.0) for x in (4.0, 3.5, 3.3, 0.4, 0.2)]
  assert found == [2, 2, 1, 0, None]
  pace.record(1, sampling=5.0, other=0.1)  # one stall is not the rule
  assert pace.choose(4.0, 4.0) == 2
  for _ in range(40):
    pace.record(0, sampling=4 * 2.0, other=0.1)
  assert pace.choose(4.0, 4.0) == 0  # not delayed: tried all the same
  assert pace.choose(3.0, 4.0) is None


def test_fewer_passes_after_a_late_chunk():
  pace = Pace([4, 12, 40])
  pace.record(0, 0.01, 0.01)
  pace.entered(late=True)
  assert pace.choose(1.0, 1.0) == 1
  for _ in range(3):
    pace.entered(late=True)
  assert pace.choose(1.0, 1.0) == 0
  for _ in range(16):
    pace.entered(late=False)
  assert pace.choose(1.0, 1.0) == 2
  with pytest.raises(ValueError, match="ascending"):
    Pace([4, 4])


def test_figures_in_one_line():
  figures = Figures()
  assert figures.hit_rate == 1
  for number in range(1, 10_001):
    figures.add(number / 1000, 12)
  figures.on_time, figures.late = 199, 1
  assert len(figures.seconds) < 5000
  assert figures.line("float32") == (
    "chunks: p50 7.95 s, p95 9.80 s, p99 9.96 s, 1 late, hit rate 99.5%, "
    "12 passes, float32"
  )
