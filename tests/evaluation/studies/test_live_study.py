"""The study of live stems, with a generator that returns the real stem."""

import itertools
import json
import types
from typing import ClassVar

import numpy as np
import pytest
from pcm import RATE, PcmCodec

from stemgen_jax.audio import Audio
from stemgen_jax.evaluation.metrics.rhythm import Grid
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.reference_annotations import ReferenceAnnotations
from stemgen_jax.evaluation.studies import live
from stemgen_jax.live.line import FADE, Chunk
from stemgen_jax.live.request import Generated
from stemgen_jax.sampling import preset

BAR = 8000  # samples; bar lines are a quarter of a second late
FIRST = 2000


def example(number, bars=6):
  """Clicks on beats, and a stem of clicks on downbeats."""
  length = round((bars + 0.5) * BAR)
  rng = np.random.default_rng(number)

  def clicks(step):
    sound = np.zeros((length, 1), np.float32)
    for start in range(FIRST + FADE, length - 200, step):
      sound[start : start + 200, 0] = rng.normal(0, 0.3, 200)
    return Audio(sound, RATE)

  beats = np.arange(FIRST, length, BAR // 4) / RATE
  return Example(
    number=number,
    song=f"song-{number}",
    start=10.0,
    category="drums",
    genre="",
    role="",
    stems=("bass",),
    context=clicks(BAR // 4),
    real=clicks(BAR),
    random_stem=clicks(BAR // 3),
    pitched=False,
    annotations=ReferenceAnnotations(
      beats, Grid(4), (), "C major", False, beats[::4]
    ),
  )


class Examples:
  def __init__(self, bars=6):
    self.bars = bars

  def __iter__(self):
    return itertools.count()

  def example(self, place):
    # The first one is too short.
    return example(place, self.bars if place else 2)


class Real:
  """A generator that returns the real stem, and keeps its requests."""

  made: ClassVar[list] = []
  passes, dtype = (4, 12), "float32"

  def __init__(self, engine, settings, **options):
    self.engine, self.options = engine, options
    self.requests = []
    self.made.append(self)

  def __call__(self, request, rung):
    self.requests.append(request)
    assert rung == 1
    samples = self.engine.real.samples[request.start :][
      : request.stop - request.start + FADE
    ]
    chunk = Chunk(start=request.start, samples=samples)
    return Generated(chunk, 0.0, 0.0)


class Engine:
  """Returns the real stem of the second example or later."""

  codec = PcmCodec()
  config = types.SimpleNamespace(conditions=("category",))
  real = example(1).real

  def generate(self, context, stem, *, seed, settings):
    return types.SimpleNamespace(audio=self.real)


@pytest.fixture
def subject(tmp_path, monkeypatch):
  monkeypatch.setattr(live, "Continuation", Real)
  monkeypatch.setattr(live.downbeats, "check", lambda: None)
  Real.made = []
  options = types.SimpleNamespace(examples=1, bars=2, seed=3, seconds=6.5)
  return types.SimpleNamespace(
    options=options,
    out=tmp_path,
    settings=preset("fast"),
    examples_recipe=lambda: {"weights": "0"},
    engine=Engine(),
    examples=Examples(),
  )


def test_offsets_and_figures_of_the_same_bars(subject):
  result = live.run(subject)
  assert [each.options["future"] for each in Real.made] == [
    *("unknown", "unknown", "unknown"),
    "repeat",
  ]
  for each, offset in zip(Real.made, (-1, 0, 1, -1), strict=True):
    # Bars 3 and 4, then 5 and 6, of which one is known before the slack.
    starts = [FIRST + 2 * BAR, FIRST + 4 * BAR]
    assert [x.start for x in each.requests] == starts
    assert [x.stop for x in each.requests] == [starts[1], FIRST + 6 * BAR]
    known = [x.known - x.start for x in each.requests]
    assert known == [offset * BAR] * 2
    first, second = each.requests
    assert first.voices == ((0, None),)
    assert second.voices[-1][1].end == second.start
    context = example(1).context.samples
    np.testing.assert_array_equal(second.read(0, 900), context[:900])
    assert len(second.read(-50, len(context) + 50)) == len(context) + 100
  (measured,) = (subject.out / "examples").glob("*.npz")
  assert measured.name == "00001.npz"  # the first example has too few bars
  figures = result["figures"]
  for name in ("beat_f1", "grid_agreement", "coherence", "metrical_phase"):
    real = figures[name]["real"]["mean"]
    for system in live.SCORED:
      assert figures[name][system]["mean"] == pytest.approx(real, abs=1e-3)
      if system in live.LIVE:
        assert result["to_offline"][name][system]["mean"] == pytest.approx(
          0, abs=1e-3
        )
  assert figures["metrical_phase"]["real"]["mean"] == 1
  assert figures["metrical_phase"]["silence"]["mean"] == 0
  table = live.table(result)
  assert "| -1, repeated | 1.00 (too few songs) |" in table
  json.dumps(result, allow_nan=False)
  # What is measured is kept: a longer run measures the next example alone.
  Real.made.clear()
  subject.options.examples = 2
  assert live.run(subject)["examples"] == 2
  assert len(Real.made) == len(live.LIVE)
  subject.options.bars = 1
  with pytest.raises(ValueError, match="bars"):
    live.run(subject)


def test_examples_that_are_too_short(subject):
  subject.examples.bars = 2
  with pytest.raises(ValueError, match=r"--seconds=6.5: 200 examples have"):
    live.run(subject)
