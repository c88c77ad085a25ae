"""The figures of a stem against its context.

To add a metric, write a function from a `Case` to numbers by name, and an
entry in `METRICS`. What several metrics need of a sound is a property of
`features.Features`. Then increase `measurement.VERSION`.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping

from stemgen_jax import coherence
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import (
  chord_changes,
  harmony,
  phase,
  rhythm,
)
from stemgen_jax.evaluation.reference_annotations import ReferenceAnnotations


@dataclasses.dataclass(frozen=True)
class Case:
  """A stem with all that it is compared with.

  Attributes:
    stem: features of the stem.
    context: features of its context.
    real: features of the real stem.
    known: reference annotations of the context.
    category: category of the stem.
  """

  stem: Features
  context: Features
  real: Features
  known: ReferenceAnnotations
  category: str


@dataclasses.dataclass(frozen=True)
class Metric:
  """A function with the names of its figures.

  Attributes:
    group: group of the figures, whose scores are averaged.
    figures: names, in the order of tables.
    compute: maps a case to figures of these names.
    pitched: whether it needs pitched instruments on both sides; otherwise the
      figures are NaN.
    categories: categories of stems it applies to; () means all. For others
      the figures are NaN.
  """

  group: str
  figures: tuple[str, ...]
  compute: Callable[[Case], Mapping[str, float]]
  pitched: bool = False
  categories: Collection[str] = ()


def _rhythm(case: Case) -> dict[str, float]:
  return rhythm.agreement(case.stem.pulse, case.known.beats, case.known.grid)


def _phase(case: Case) -> dict[str, float]:
  downbeats = case.known.downbeats
  if len(downbeats) < 2:
    return {"metrical_phase": float("nan")}
  stem, real = (
    phase.profile(sound.strength, downbeats) for sound in (case.stem, case.real)
  )
  return {"metrical_phase": phase.metrical_phase(stem, real)}


def _harmony(case: Case) -> dict[str, float]:
  chroma, known = case.stem.chroma, case.known
  return {
    "chord_tone_share": harmony.chord_tone_share(chroma, known.chords),
    "chroma_agreement": harmony.chroma_agreement(chroma, case.context.chroma),
    "key_agreement": harmony.key_agreement(known.key, chroma),
  }


def _change_timing(case: Case) -> dict[str, float]:
  return {
    "change_timing": chord_changes.change_timing(
      case.stem.chroma, case.known.chords, case.known.beats
    )
  }


def _root_on_change(case: Case) -> dict[str, float]:
  return {
    "root_on_change": chord_changes.root_on_change(
      case.stem.notes[1], case.known.chords
    )
  }


def _coherence(case: Case) -> dict[str, float]:
  score = coherence.compared(case.context.as_context, case.stem.as_stem)
  # Silence has no score.
  return {"coherence": score if math.isfinite(score) else math.nan}


METRICS = (
  Metric("rhythm", ("beat_f1", "grid_agreement"), _rhythm),
  Metric("phase", ("metrical_phase",), _phase),
  Metric(
    "harmony",
    ("chord_tone_share", "chroma_agreement", "key_agreement"),
    _harmony,
    pitched=True,
  ),
  Metric("changes", ("change_timing",), _change_timing, pitched=True),
  Metric(
    "bass_root",
    ("root_on_change",),
    _root_on_change,
    pitched=True,
    categories=("bass",),
  ),
  Metric("coherence", ("coherence",), _coherence),
)
FIGURES = {name: metric.group for metric in METRICS for name in metric.figures}
"""Figures of a stem against its context, and the group of each."""

TITLES = {
  "rhythm": "tempo and grid",
  "phase": "metrical phase",
  "changes": "chord-change timing",
  "bass_root": "bass root on change",
  "pooled_harmony": "harmony, pooled",
}
"""Names of groups in tables, where they are not the keys in JSON."""

POOLED = ("harmony", "changes", "bass_root")
"""Groups whose figures the pooled harmony score combines."""


def title(group: str) -> str:
  """Return the name of a group in tables."""
  return TITLES.get(group, group)


def compute(case: Case, *, pitched: bool) -> dict[str, float]:
  """Compute all figures; NaN where a metric does not apply.

  Args:
    case: the stem and its context.
    pitched: whether stem and context both have pitched instruments.
  """
  found = dict.fromkeys(FIGURES, float("nan"))
  for metric in METRICS:
    applies = not metric.categories or case.category in metric.categories
    if applies and (pitched or not metric.pitched):
      found |= metric.compute(case)
  return found
