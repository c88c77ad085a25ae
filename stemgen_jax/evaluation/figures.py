"""The figures of a stem against its context.

To add a metric, write a function from the features of stem and context and
the reference annotations to numbers by name, and an entry in `METRICS`. What
several metrics need of a sound is a property of `features.Features`. Then
increase `measurement.VERSION`.
"""

import dataclasses
from collections.abc import Callable, Mapping

from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import harmony, rhythm
from stemgen_jax.evaluation.reference_annotations import ReferenceAnnotations

Compute = Callable[
  [Features, Features, ReferenceAnnotations], Mapping[str, float]
]
"""Maps stem, context and annotations of the context to figures by name."""


@dataclasses.dataclass(frozen=True)
class Metric:
  """A function with the names of its figures.

  Attributes:
    group: group of the figures, whose scores are averaged.
    figures: names, in the order of tables.
    compute: the function; its result has these names.
    pitched: whether it needs pitched instruments on both sides; otherwise the
      figures are NaN.
  """

  group: str
  figures: tuple[str, ...]
  compute: Compute
  pitched: bool = False


def _rhythm(
  stem: Features, context: Features, known: ReferenceAnnotations
) -> dict[str, float]:
  del context  # its beats are among the annotations
  return rhythm.agreement(stem.pulse, known.beats, known.grid)


def _harmony(
  stem: Features, context: Features, known: ReferenceAnnotations
) -> dict[str, float]:
  return {
    "chord_tone_share": harmony.chord_tone_share(stem.chroma, known.chords),
    "chroma_agreement": harmony.chroma_agreement(stem.chroma, context.chroma),
    "key_agreement": harmony.key_agreement(known.key, stem.chroma),
  }


METRICS = (
  Metric("rhythm", ("beat_f1", "grid_agreement"), _rhythm),
  Metric(
    "harmony",
    ("chord_tone_share", "chroma_agreement", "key_agreement"),
    _harmony,
    pitched=True,
  ),
)
FIGURES = {name: metric.group for metric in METRICS for name in metric.figures}
"""Figures of a stem against its context, and the group of each."""


def compute(
  stem: Features,
  context: Features,
  known: ReferenceAnnotations,
  *,
  pitched: bool,
) -> dict[str, float]:
  """Compute all figures; NaN where a metric does not apply.

  Args:
    stem: features of the stem.
    context: features of its context.
    known: reference annotations of the context.
    pitched: whether stem and context both have pitched instruments.
  """
  found = dict.fromkeys(FIGURES, float("nan"))
  for metric in METRICS:
    if pitched or not metric.pitched:
      found |= metric.compute(stem, context, known)
  return found
