"""Summarize the decoding study: the figures of every setting."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from stemgen_jax import finite
from stemgen_jax.evaluation.figures import FIGURES
from stemgen_jax.evaluation.measurement import Measurements
from stemgen_jax.evaluation.metrics import intervals, mirdd
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.reporting.summary import Measured

ANCHORS = ("real", "round_trip", "random", "random_codes")


def summarize(
  found: Mapping[str, Measured], reference: str, seed: int = 0
) -> dict[str, Any]:
  """Summarize the examples of `evaluate`.

  Scores are those of `summary.score`, over all seeds; distances are those of
  `summary.summarize`, means over the seeds. The quality of a setting is the
  mean of its scores, each at most 1, and its APA of codes by the last
  embedding. It is not by the first, the codec's latents, by which a stem that
  was generated to another song's context has the same APA. A setting's
  difference from the reference is computed per example, its interval over the
  songs.

  Args:
    found: result of `evaluate`.
    reference: name of the setting that the others are compared with.
    seed: seed of the intervals.

  Returns:
    A dict for JSON: `examples`, `seeds`, `reference`, `apa_by`, the embedding
    of the quality's APA, and by setting `rows` of `passes`, `playing` (seconds
    per take), `scores`, `differences`, `figures`, `frechet`, `mirdd` (None if
    mixes were not described), `quality` and its `spread` over the seeds;
    `anchors` have `figures`, `frechet` and `mirdd`; `mirdd_floor` is that of
    real mixes against other real ones.

  Raises:
    ValueError: there are fewer than two examples to compare.
  """
  fixed = comparable(found["anchors"])
  measured = {name: ones for name, ones in found.items() if name != "anchors"}
  seeds = list(measured[reference][0].figures)
  songs = [one.about["song"] for one in fixed]
  real = _real_mixes(fixed)
  floor = _rounded_mean([mirdd.floor(real, seed)["mean"]]) if real else None
  weights = _Weights(
    draws=intervals.draws(
      np.array(songs * len(seeds)), np.random.default_rng(seed)
    ),
    # [seeds, n]: one row selects the examples of one seed.
    seeds=np.repeat(np.eye(len(seeds)), len(fixed), axis=1),
  )
  # Values of the reference, computed once for all rows.
  compared = _columns(measured[reference], fixed, seeds)
  return {
    "examples": len(fixed),
    "songs": len(set(songs)),
    "seeds": len(seeds),
    "reference": reference,
    "apa_by": _apa_by(fixed),
    "rows": {
      name: _row(ones, fixed, seeds, compared, weights)
      for name, ones in measured.items()
    },
    "mirdd_floor": floor,
    "anchors": {
      system: {
        "figures": {
          figure: _rounded_mean(summary.values_of(fixed, system, figure))
          for figure in FIGURES
        },
        "frechet": _distances(fixed, fixed, system),
        "mirdd": _mirdd(fixed, fixed, [system]),
      }
      for system in ANCHORS
    },
  }


class _Weights(NamedTuple):
  """Weights of the examples, repeated for each seed."""

  draws: intervals.Draws
  seeds: Float[np.ndarray, "seeds n"]


_Columns = Mapping[str, summary.Values]
"""Figure -> system -> values of the examples, repeated for each seed."""


def _row(
  measured: Measured,
  fixed: Measured,
  seeds: Sequence[str],
  compared: _Columns,
  weights: _Weights,
) -> dict[str, Any]:
  """Return the figures of one setting."""
  columns = _columns(measured, fixed, seeds)
  distances = [_distances(measured, fixed, system) for system in seeds]
  apa_by = _apa_by(fixed)
  scores, differences = {}, {}
  # Rows of [seeds]: APA first, then the score of each group.
  qualities = [
    np.array([of_seed[apa_by]["apa_codes"] for of_seed in distances])
  ]
  for group in summary.COMPARED:
    names = summary.groups()[group]
    mine = [columns[name] for name in names]
    theirs = [compared[name] for name in names]

    def difference(which: np.ndarray, mine=mine, theirs=theirs) -> np.ndarray:
      ours, reference = (
        summary.anchor_normalized(figures, "generated", which)
        for figures in (mine, theirs)
      )
      return ours - reference

    # Not clipped at 1: only quality is.
    scores[group] = summary.score(mine, "generated", weights.draws)
    differences[group] = intervals.around(
      # Weights of 1 give the difference itself.
      float(difference(np.ones((1, len(weights.draws.song))))[0]),
      difference(summary.resamples(mine, "generated", weights.draws)),
    )
    # [seeds]: each seed's own score, for the spread.
    of_seeds = summary.anchor_normalized(mine, "generated", weights.seeds)
    qualities.append(np.minimum(of_seeds, 1))
  # [groups + 1, seeds] -> [seeds]
  quality = np.nanmean(qualities, axis=0)
  playing = float(np.median([one.about["playing"] for one in measured]))
  return {
    "passes": measured[0].about["passes"],
    "playing": round(playing, 3),
    "scores": scores,
    "differences": differences,
    "figures": {
      name: _rounded_mean(values["generated"])
      for name, values in columns.items()
    },
    "frechet": {
      embedding: {
        measure: _rounded_mean(
          [of_seed[embedding][measure] for of_seed in distances]
        )
        for measure in measures
      }
      for embedding, measures in distances[0].items()
    },
    "mirdd": _mirdd(measured, fixed, seeds),
    "quality": _rounded_mean(quality),
    "spread": _rounded_mean([quality.std(ddof=1)]) if len(seeds) > 1 else None,
  }


def _columns(
  measured: Measured, fixed: Measured, seeds: Sequence[str]
) -> _Columns:
  found = {}
  for name in FIGURES:
    found[name] = {
      # Anchors do not depend on the seed: repeat them.
      system: np.tile(summary.values_of(fixed, system, name), len(seeds))
      for system in ("random", "round_trip")
    }
    found[name]["generated"] = np.concatenate(
      [summary.values_of(measured, system, name) for system in seeds]
    )
  return found


def _apa_by(fixed: Measured) -> str:
  """Return the embedding of the quality's APA: the last."""
  # Embeddings keep their order in the files.
  return list(fixed[0].embeddings)[-1]


def _distances(
  measured: Measured, fixed: Measured, system: str
) -> dict[str, dict[str, float]]:
  """Return FAD and both kinds of APA of a system, by embedding."""
  found = {
    name: summary.distances(measured, fixed, name, system)
    for name in fixed[0].embeddings
  }
  return {
    name: {x: round(value, 4) for x, value in distances.items()}
    for name, distances in found.items()
  }


def _real_mixes(fixed: Measured) -> Sequence[mirdd.Described]:
  """Return the descriptors of the real mixes; [] unless all have them."""
  real = [one.descriptors["real"] for one in fixed if one.descriptors]
  return real if len(real) == len(fixed) else []


def _mirdd(
  measured: Measured, fixed: Measured, systems: Sequence[str]
) -> float | None:
  """Return the systems' mean MIRDD; None if no mixes were described."""
  real = _real_mixes(fixed)
  if not real:
    return None
  found = []
  for system in systems:
    # The anchor random_codes has no descriptors.
    if all(system in one.descriptors for one in measured):
      mixes = [one.descriptors[system] for one in measured]
      found.append(mirdd.mirdd(real, mixes)["mean"])
  return _rounded_mean(found)


def _rounded_mean(values: Sequence[float] | np.ndarray) -> float | None:
  return finite.or_none(finite.mean(values), 4)


def comparable(anchored: Measured) -> list[Measurements]:
  """Return the examples with a stem of the category from another song.

  Raises:
    ValueError: there are fewer than two.
  """
  # `anchors` omits "random" if no other song has the category.
  found = [one for one in anchored if "random" in one.figures]
  if len(found) < 2:
    raise ValueError(
      f"{len(found)} examples have a stem of the category in another song; "
      "expected at least 2: give more --examples"
    )
  return found
