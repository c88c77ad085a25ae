"""Inputs that are slow, fast, interrupted, or in another tempo."""

import io
import re

import numpy as np
import pytest
from fake_generator import Stage

from stemgen_jax.live import display, pcm
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.options import Options

RATE = 8000


def clicks(bpm, seconds, first=0.0):
  """A noise of 20 ms on every beat."""
  sound = np.zeros(round(seconds * RATE), np.float32)
  burst = np.random.default_rng(0).normal(0, 0.3, RATE // 50)
  for at in np.arange(first, seconds - 0.05, 60 / bpm):
    place = round(at * RATE)
    sound[place : place + len(burst)] = burst
  return sound


def paced(stage, seconds, speed, *, stop=None):
  """Blocks that arrive at a speed; before one second of them, a stop."""
  rate = stage.rate
  for at in range(0, round(seconds * rate), 50):
    if stop and at == stop[0] * rate:
      stage.clock.wait(stage.clock.now() + stop[1])
    if speed:
      stage.clock.wait(stage.clock.now() + 50 / rate / speed)
    yield np.full((50, 1), at, np.float32)


@pytest.mark.parametrize(
  ("speed", "lasts"), [(0.5, 80), (1.1, 40), (0, 40)], ids=str
)
def test_slow_and_fast_inputs_lose_no_sample(speed, lasts):
  stage = Stage()
  out = stage.play(source=paced(stage, 40, speed))
  assert len(out) == 40_000
  # No faster than the music, however fast the input arrives.
  assert stage.clock.now() == pytest.approx(lasts, rel=0.01)
  assert stage.engine.figures.late == 0
  assert stage.engine.figures.on_time == 9


def test_an_input_that_stops_and_returns():
  stage = Stage()
  out = stage.play(source=paced(stage, 40, 1, stop=(15, 30)))
  assert len(out) == 40_000
  assert stage.clock.now() == pytest.approx(70, rel=0.01)  # not hurried through
  assert stage.engine.figures.late == 0
  starts = [request.start for request in stage.generator.requests]
  assert starts == list(range(4000, 42_000, 4000))


def test_a_tempo_that_is_wrong_is_reported_and_taken_over_on_request():
  stage = Stage(rate=RATE, options=Options(watch=1))
  stage.play(samples=clicks(123.6, 30, first=0.1))
  found = re.findall(r"the music is at (.*) bpm, not 120.0", stage.said)
  assert len(found) == 1
  assert float(found[0]) == pytest.approx(123.6, abs=0.2)
  last = stage.generator.requests[-1]
  stage.engine.resync()
  stage.play(samples=clicks(123.6, 20, first=0.1 + 62 * 60 / 123.6 - 30))
  assert re.search(r"tempo 123.[5-7] bpm, bar line moved by", stage.said)
  new = [x for x in stage.generator.requests if x.start > last.start]
  assert len(new) >= 4
  for request in new:
    beat = (request.start / RATE - 0.1) * 123.6 / 60
    assert abs(beat - round(beat)) < 0.06  # 30 ms
  assert stage.engine.figures.late == 0


def test_a_tempo_can_be_followed():
  stage = Stage(rate=RATE, options=Options(watch=1, follow=True))
  stage.play(samples=clicks(123.6, 26))
  grid = stage.engine.grid
  assert grid is not None
  assert grid.bpm == pytest.approx(123.6, rel=0.005)


def test_the_tempo_is_detected_in_the_first_seconds():
  stage = Stage(grid=False, rate=RATE, options=Options(watch=0))
  assert display.line(stage.engine) == "listening for the tempo"
  out = stage.play(samples=clicks(110, 24, first=0.2))
  assert "tempo 110" in stage.said
  first = stage.generator.requests[0]
  assert 8 * RATE < first.start < 14 * RATE
  beat = (first.start / RATE - 0.2) * 110 / 60
  assert abs(beat - round(beat)) < 0.06
  assert not out[: first.start].any()
  assert out[first.start + 100] == 1


def test_without_a_tempo_nothing_is_generated():
  stage = Stage(grid=False)
  stage.play(20)
  assert stage.said.count("the tempo is unclear") >= 2
  assert stage.generator.requests == []
  stage.engine.resync()
  stage.play(1)
  assert "sync: no clear tempo" in stage.said


def test_a_grid_that_starts_later():
  stage = Stage(grid=False)
  stage.engine.grid = Grid(bpm=120, sample_rate=1000, origin=700)
  stage.engine._begin()
  stage.play(12)
  assert stage.generator.requests[0].start == 4700


def test_pcm_of_any_numbers_is_usable():
  numbers = [1.5, float("nan"), float("inf"), -1e30]
  file = io.BytesIO(np.array(numbers, "<f4").tobytes() + b"rest"[:3])
  (block,) = pcm.read(file, 1, floats=True)
  np.testing.assert_array_equal(block[:, 0], [1.5, 0, 0, -8])
