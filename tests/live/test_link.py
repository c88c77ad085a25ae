"""Ableton Link as the source of the tempo, with a stand-in for a session."""

import re
import sys
import types
from typing import Any

import pytest
from fake_generator import Stage
from fake_link import Session

from stemgen_jax.live import link
from stemgen_jax.live.options import Options


@pytest.fixture
def stage():
  return Stage(grid=False, options=Options(watch=0))


def off(stage, session, start):
  """Beats by which a chunk misses the bar lines of a session."""
  return session.off(stage.engine.position - start, stage.rate)


def play(stage, follower, seconds):
  stage.play(seconds, advance=lambda: follower.advance(stage.engine))


def test_chunks_enter_on_the_bars_of_the_session(stage):
  session = Session(stage.clock, 126.0, beat=2.5)
  follower = link.Link(session, stage.clock)
  follower.advance(stage.engine)
  play(stage, follower, 30)
  starts = [x.start for x in stage.generator.requests]
  assert len(starts) >= 6
  assert all(off(stage, session, x) < 0.01 for x in starts)
  assert stage.engine.grid.bpm == 126
  assert "link: 1 other programs, 126.0 bpm" in stage.said
  assert "bar line moved" not in stage.said
  # Another tempo is taken over at the first bar that is free.
  session.change(90.0)
  play(stage, follower, 30)
  assert re.search(r"tempo 90.0 bpm, bar line moved by", stage.said)
  new = [x.start for x in stage.generator.requests if x.start > 36_000]
  assert len(new) >= 4
  assert all(off(stage, session, x) < 0.02 for x in new)
  # So are other bars.
  session.change(90.0, skip=1.5)
  play(stage, follower, 30)
  new = [x.start for x in stage.generator.requests if x.start > 70_000]
  assert len(new) >= 3
  assert all(off(stage, session, x) < 0.02 for x in new)
  assert stage.engine.figures.late == 0


def test_sound_that_is_late_is_counted(stage):
  session = Session(stage.clock, 120.0)
  follower = link.Link(session, stage.clock, latency=lambda: 0.2)
  play(stage, follower, 20)
  for request in stage.generator.requests:
    assert off(stage, session, request.start + 200) < 0.02


def test_a_tempo_out_of_range_is_reported(stage):
  follower = link.Link(Session(stage.clock, 999.0), stage.clock)
  play(stage, follower, 2)
  assert "tempo 999 bpm: expected 20 to 400" in stage.said
  assert stage.engine.grid is None


def test_a_session_of_the_network(monkeypatch):
  class Link:
    def __init__(self, bpm):
      self.tempo, self.enabled = bpm, False

  module: Any = types.ModuleType("aalink")
  module.Link = Link
  monkeypatch.setitem(sys.modules, "aalink", module)
  session = link.open_session(110.0, 3)
  assert (session.tempo, session.quantum, session.enabled) == (110, 3.0, True)
