"""Songs, a codec and an engine that take no time."""

import dataclasses
import types
from typing import Any

import numpy as np
import tiny

from stemgen_jax.audio import Audio
from stemgen_jax.evaluation import reference_annotations
from stemgen_jax.evaluation.metrics import rhythm
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.protocol import Example

RATE, SECONDS = 8000, 0.5


def noise(seed: int, level: float) -> Audio:
  rng = np.random.default_rng(seed)
  samples = rng.normal(0, level, (round(SECONDS * RATE), 1))
  return Audio(samples.astype(np.float32), RATE)


class Examples:
  """Examples of two songs; the first has no stem in another song."""

  def __iter__(self):
    return iter(range(3))

  def example(self, place):
    return Example(
      number=place,
      song=f"secret {place}",
      start=2.0,
      category="synth_lead",
      genre="techno",
      role="",
      stems=("bass",),
      context=noise(10 * place, 0.05),
      real=noise(10 * place + 1, 0.05),
      random_stem=noise(10 * place + 2, 0.2) if place else None,
      pitched=place == 1,
      annotations=reference_annotations.ReferenceAnnotations(
        beats=np.array([0.0, 0.2, 0.4]),
        grid=rhythm.Grid(4),
        chords=(),
        key="C major",
        estimated=False,
      ),
    )


@dataclasses.dataclass
class Engine:
  """Generates a quieter context.

  Attributes:
    gain: factor of the context.
    calls: number of stems so far.
  """

  gain: float = 0.1
  calls: int = 0

  def __post_init__(self):
    self.config = types.SimpleNamespace(conditions=())

  def generate(self, context, stem, *, seed, settings):
    self.calls += 1
    samples = np.float32(self.gain) * context.samples
    return types.SimpleNamespace(audio=Audio(samples, RATE))


def subject(out, count=2, engine=None, seed=0) -> Any:
  codec = tiny.FrameEnergies()
  codec.sample_rate = RATE
  return types.SimpleNamespace(
    engine=engine or Engine(),
    examples=Examples(),
    codec=codec,
    out=out,
    data="songs",
    missing_songs="",
    settings=None,
    options=Options(out=str(out), examples=count, seed=seed),
    examples_recipe=lambda: {"weights": "w"},
  )
