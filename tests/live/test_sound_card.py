"""A sound card that counts in, disappears and returns, on a simulated clock."""

import numpy as np
import pytest
from fake_card import RATE, Card
from fake_generator import FakeGenerator

from stemgen_jax.live import sound_card
from stemgen_jax.live.clock import SimulatedWorker
from stemgen_jax.live.engine import Engine
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.request import Controls
from stemgen_jax.live.sound_card import SoundCard


@pytest.fixture
def card():
  return Card()


def perform(card, seconds, **options):
  """Play until a time; what was written, and why it ended."""
  grid = Grid(bpm=120, sample_rate=RATE)
  generator = FakeGenerator(card, channels=2)
  engine = Engine(
    generator,
    {"bass": Controls(stem="bass")},
    clock=card,
    worker=SimulatedWorker(card, measured=False),
    sample_rate=RATE,
    channels=2,
    grid=grid,
  )
  player = SoundCard(engine, card, backend=card, channels=2, **options)
  written = []
  end = player.run(written.append, stop=lambda: card.seconds >= seconds)
  return player, engine, np.concatenate(written), end, generator


def test_count_in_and_stem(card):
  grid = Grid(bpm=120, sample_rate=RATE)
  count_in = sound_card.clicks(grid, 1, 2)
  assert len(count_in) == 2 * RATE
  _, engine, written, end, _ = perform(card, 12, count_in=count_in)
  heard = np.concatenate(card.heard)
  np.testing.assert_array_equal(heard[: 2 * RATE], count_in)
  np.testing.assert_array_equal(heard[2 * RATE :], written)
  assert not written[: 4 * RATE].any()
  assert (written[4 * RATE + 64 : 8 * RATE] == 1).all()
  assert engine.figures.late == 0
  assert end == ""
  clicks = np.abs(count_in[:, 0]).reshape(4, RATE // 2).max(axis=1)
  assert (clicks > 0.1).all()


def test_a_card_that_returns_stays_in_time(card):
  card.gone = [(13.0, 16.0)]
  player, engine, written, end, generator = perform(card, 30)
  assert (player.losses, card.opened, end) == (1, 2, "")
  # What it would have played meanwhile is written, too.
  assert abs(len(written) / RATE - 30) < 0.3
  assert abs(engine.position / RATE - 30) < 0.3
  assert engine.figures.late <= 1
  said = "\n".join(engine.events)
  assert said.index("card is gone") < said.index("card is back")
  starts = [x.start for x in generator.requests]
  assert starts == [RATE * x for x in range(4, 4 * len(starts) + 1, 4)]


def test_a_card_that_stays_away_ends_the_performance(card):
  card.gone = [(13.0, 99.0)]
  _, _, written, end, _ = perform(card, 60)
  assert end == "the sound card was gone for 10 s"
  assert abs(len(written) / RATE - 13) < 0.2  # what was played is written
  assert card.seconds < 26


def test_errors_and_flags(card, monkeypatch):
  card.status = "input overflow"
  player, *_ = perform(card, 2, monitor=True)
  assert player.flags == len(card.heard) > 10
  assert (card.heard[3] == 0.5).all()
  card.gone = [(0.0, 99.0)]
  with pytest.raises(OSError, match=r"default: Device unavailable; expected"):
    perform(card, 4)
  card.gone = []
  monkeypatch.setattr(Engine, "process", lambda self, block: 1 / 0)
  with pytest.raises(ZeroDivisionError):
    perform(card, 6)
  assert not card.heard[-1].any()
