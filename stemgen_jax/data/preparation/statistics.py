"""Statistics of the training pairs for the manifest, by category and role."""

import collections
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stemgen_jax import finite
from stemgen_jax.categories import CATEGORIES, ROLES
from stemgen_jax.codec import scales
from stemgen_jax.data.preparation.song_codes import Summary


def of_pairs(
  training: Sequence[Summary], loudness_db: float | None, *, scaled: bool
) -> dict[str, Any]:
  """Return the attributes of `Manifest` that describe the training pairs.

  Args:
    training: training songs.
    loudness_db: loudness that targets and contexts were encoded at; None for
      that of the songs.
    scaled: whether the codec has scales.
  """
  leveled = loudness_db is not None
  relative_db = _relative_db(training, "category", CATEGORIES)
  ratios = _scale_ratio(training, "category", CATEGORIES) if scaled else {}
  roles: dict[str, Any] = {"pairs": _counts(training, "role", ROLES)}
  if leveled:
    roles["relative_db"] = _relative_db(training, "role", ROLES)
  if scaled:
    roles["scale_ratio"] = _scale_ratio(training, "role", ROLES)
  return {
    "categories": _counts(training, "category", CATEGORIES),
    "context_rms_db": _mean_level(training),
    "scale_ratio": ratios,
    "loudness": {"reference_db": loudness_db, "relative_db": relative_db}
    if leveled
    else {},
    "roles": roles,
  }


def _ids(song: Summary, kind: str) -> list[int]:
  return getattr(song, kind).astype(int).tolist()


def _named(
  values: dict[int, Any], names: Sequence[str]
) -> Iterator[tuple[str, Any]]:
  """Yield values by name in the order of `names`; ids without one are null."""
  for i, name in enumerate(names):
    if i in values:
      yield name, values[i]


def _counts(
  training: Sequence[Summary], kind: str, names: Sequence[str]
) -> dict[str, int]:
  counts: collections.Counter[int] = collections.Counter()
  for song in training:
    counts.update(_ids(song, kind))
  return dict(_named(counts, names))


def _mean_level(training: Sequence[Summary]) -> float | None:
  levels = [
    level
    for song in training
    for level in song.context_rms_db[song.has_context].tolist()
  ]
  return round(float(np.mean(levels)), 2) if levels else None


def _relative_db(
  training: Sequence[Summary], kind: str, names: Sequence[str]
) -> dict[str, float]:
  """Return the mean loudness of targets over that of their contexts."""
  values = collections.defaultdict(list)
  for song in training:
    for i, decibels in zip(_ids(song, kind), song.relative_db):
      values[i].append(decibels)
  means = {i: finite.mean(of) for i, of in values.items()}
  return {
    name: round(mean, 2)
    for name, mean in _named(means, names)
    if math.isfinite(mean)
  }


def _scale_ratio(
  training: Sequence[Summary], kind: str, names: Sequence[str]
) -> dict[str, float]:
  """Return geometric means of target scale / context scale."""
  # Log ratios of all segments; their mean is a geometric mean.
  logs = collections.defaultdict(list)
  for song in training:
    assert song.target_scales is not None
    assert song.context_scales is not None
    for i, target, context in zip(
      _ids(song, kind), song.target_scales, song.context_scales
    ):
      logs[i].extend(scales.log_ratios(target, context))
  return {
    name: round(float(np.exp(np.mean(log))), 4)
    for name, log in _named(logs, names)
    if log
  }
