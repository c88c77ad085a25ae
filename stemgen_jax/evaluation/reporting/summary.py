"""Summarize the measurements of examples: means, scores, intervals."""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from stemgen_jax import finite, text_tables
from stemgen_jax.evaluation.baselines import BASELINES
from stemgen_jax.evaluation.figures import FIGURES, POOLED, title
from stemgen_jax.evaluation.measurement import ALONE, SYSTEMS, Measurements
from stemgen_jax.evaluation.metrics import frechet, intervals, mirdd

SCORED = ("generated", "shuffled")
COMPARED = ("rhythm", "harmony")
"""Groups whose scores make up the quality of a setting."""
_COMPARED_BY_FIGURES = (*SYSTEMS, *BASELINES)
DISTANCES = {
  "fad": "FAD",
  "fad_infinity": "FAD-infinity",
  "kad": "KAD",
  "sub_fad": "sub-FAD",
  "apa": "APA",
  "apa_codes": "APA of codes",
}
MIRDD = {"mirdd": "", "mirdd_stems": ALONE}
"""Tables of MIRDD: suffix of the systems that they describe."""
APA_ENDS = {
  "apa": ("real", "random"),
  "apa_codes": ("round_trip", "random_codes"),
}
"""Systems with 1 and with 0 in each kind of APA."""
_ENDS = ("random", "round_trip")
"""Anchors with 0 and with 1 in a score."""
_APA_RESAMPLES = 100
_POPULATIONS = tuple(system for system in SYSTEMS if system != "real")

Measured = Sequence[Measurements]
Values = Mapping[str, Float[np.ndarray, " n"]]
"""System -> values of the examples."""


def summarize(measured: Measured, seed: int = 0) -> dict[str, Any]:
  """Compute all tables of an evaluation.

  Args:
    measured: measurements of the examples.
    seed: seed of the intervals and of the subsets of examples.

  Returns:
    A dict for JSON: `examples`, `songs`, `estimated` (number of examples with
    estimated annotations), `seconds` of work, `categories` with their counts;
    `figures`, `scores`, those `of_category`, `frechet`, and `mirdd` and
    `mirdd_stems` where mixes and stems were described.
  """
  songs = np.array([one.about["song"] for one in measured])
  category = np.array([one.about["category"] for one in measured])
  rng = np.random.default_rng(seed)
  values = {
    name: {
      system: values_of(measured, system, name)
      for system in _COMPARED_BY_FIGURES
    }
    for name in FIGURES
  }
  # The order of draws from `rng` is part of the results.
  drawn = intervals.draws(songs, rng)
  result: dict[str, Any] = {
    "examples": len(measured),
    "songs": len(set(songs.tolist())),
    "estimated": sum(one.about["estimated"] for one in measured),
    "seconds": round(sum(one.about["seconds"] for one in measured), 1),
    "categories": collections.Counter(sorted(category.tolist())),
    "figures": {
      name: {x: intervals.mean(found, drawn) for x, found in of_system.items()}
      for name, of_system in values.items()
    },
    "of_category": {},
    "scores": _scores(values, drawn),
  }
  for name in result["categories"]:
    # [n]: the examples of one instrument.
    rows = category == name
    mine = {
      figure: {system: found[rows] for system, found in of_system.items()}
      for figure, of_system in values.items()
    }
    result["of_category"][name] = _scores(
      mine, intervals.draws(songs[rows], rng)
    )
  result["frechet"] = _frechet(measured, seed)
  if any(one.descriptors for one in measured):
    for name, suffix in MIRDD.items():
      described = {
        system: [
          one.descriptors[system + suffix]
          for one in measured
          if system + suffix in one.descriptors
        ]
        for system in ("real", "generated", "round_trip", "random")
      }
      if described["real"]:
        result[name] = _rounded(mirdd.table(described, seed))
  return result


def _scores(
  values: Mapping[str, Values], draws: intervals.Draws
) -> dict[str, Any]:
  """Return `score` of each group and that of all harmony, by system."""
  found = {
    group: {
      system: score([values[name] for name in names], system, draws)
      for system in SCORED
    }
    for group, names in groups().items()
  }
  clear = {
    name: clearness(values[name])
    for name, group in FIGURES.items()
    if group in POOLED
  }
  kept = [name for name, weight in clear.items() if weight]
  found["pooled_harmony"] = {
    system: score(
      [values[name] for name in kept], system, draws, [clear[x] for x in kept]
    )
    for system in SCORED
  }
  return found


def score(
  figures: Sequence[Values],
  system: str,
  draws: intervals.Draws,
  importance: Sequence[float] = (),
) -> dict[str, float | None]:
  """Compute the anchor-normalized score: 0 random pairing, 1 round trip.

  Of every figure the means of `system`, `random` and `round_trip` are taken
  over the examples that have all three; the score is the mean over the
  figures of (system - random) / (round trip - random).

  Args:
    figures: values of the examples by system, of each figure.
    system: system to score.
    draws: resamples of the songs.
    importance: weights of the figures in the mean; () means equal.

  Returns:
    `score` with its 95 % interval, `low` and `high`; None where the anchors do
    not differ, `low` and `high` also where a figure has too few songs.
  """
  equal = np.ones((1, len(draws.song)))
  # Weights of 1 give the score itself.
  middle = float(anchor_normalized(figures, system, equal, importance)[0])
  resampled = anchor_normalized(
    figures, system, resamples(figures, system, draws), importance
  )
  found = intervals.around(middle, resampled)
  return {"score": found.pop("mean"), **found}


def clearness(of_system: Mapping[str, Float[np.ndarray, " n"]]) -> float:
  """Return the distance of a figure's anchors over its standard error.

  Returns:
    0 where the round trip is not above the random stem, or with fewer than
    two examples.
  """
  random, round_trip = (of_system[end] for end in _ENDS)
  apart = (round_trip - random)[np.isfinite(round_trip - random)]
  if len(apart) < 2 or apart.mean() <= 0:
    return 0.0
  # A difference that is the same everywhere would count infinitely.
  error = max(float(stats.sem(apart)), 1e-3)
  return float(apart.mean()) / error


def resamples(
  figures: Sequence[Values], system: str, draws: intervals.Draws
) -> Float[np.ndarray, "resamples n"]:
  """Return weights for `anchor_normalized`; none if songs are too few."""
  # A figure without any example does not count against the songs.
  there = [_compared(of_system, system) for of_system in figures]
  enough = all(draws.enough(ones) for ones in there if ones.any())
  return draws.times if enough else draws.times[:0]


def anchor_normalized(
  figures: Sequence[Values],
  system: str,
  weights: Float[np.ndarray, "resamples n"],
  importance: Sequence[float] = (),
) -> Float[np.ndarray, " resamples"]:
  """Compute the score under each resample, given as weights of examples.

  Args:
    figures: as `score`.
    system: system to score.
    weights: weights of the examples.
    importance: as `score`.
  """
  found, kept = [], []
  for of_system, weight in zip(figures, importance or [1.0] * len(figures)):
    there = _compared(of_system, system)
    if not there.any():
      continue
    # [3, examples]: system, random, round trip.
    rows = np.stack([of_system[x][there] for x in (system, *_ENDS)])
    sums = weights[:, there] @ rows.T  # [resamples, 3]
    mine, low, high = sums.T
    # Sums of the same number of examples: their ratio is that of the means.
    distance = np.where(high - low > 0, high - low, np.nan)
    found.append((mine - low) / distance)
    kept.append(weight)
  if not found:
    return np.full(len(weights), np.nan)
  return np.average(found, axis=0, weights=kept)


def _compared(of_system: Values, system: str) -> Bool[np.ndarray, " n"]:
  """Return which examples have the figure for a system and both anchors."""
  rows = np.stack([of_system[x] for x in (system, *_ENDS)])
  return np.logical_and.reduce(np.isfinite(rows))


def groups() -> dict[str, list[str]]:
  """Return the names of the figures by group."""
  found: dict[str, list[str]] = {}
  for name, group in FIGURES.items():
    found.setdefault(group, []).append(name)
  return found


def values_of(
  measured: Measured, system: str, name: str
) -> Float[np.ndarray, " n"]:
  """Return a figure of every example; NaN where it is undefined."""
  # A system may be absent, as "random" without such a stem.
  nothing = {name: float("nan")}
  return np.array([one.figures.get(system, nothing)[name] for one in measured])


def _frechet(measured: Measured, seed: int) -> dict[str, Any]:
  """Compute FAD of stems, sub-FAD of mixes and APA, by embedding and system.

  A codec may change a mix more than another song's stem does, as the demo's
  does by its own latents. Then APA as defined is near 0 for every decoded
  stem. `apa_codes` takes real and random stems through the codec as anchors.
  """
  tables: dict[str, Any] = {}
  for name in measured[0].embeddings:
    # Only examples with every population: all are of the same examples.
    whole = [x for x in measured if "random" in x.embeddings[name]["stem"]]
    if len(whole) < 2:
      continue
    side = functools.partial(_population, whole, name)
    real, real_mixes = side("stem", "real"), side("mix", "real")
    windows = np.concatenate(real)  # [windows, d] of all examples
    table: dict[str, Any] = {
      "dimensions": windows.shape[1],
      "windows": len(windows),
      "examples": len(whole),
      "reference": "the real stems (FAD), their mixes (sub-FAD, APA), these "
      "and the random ones through the codec (APA of codes)",
      "systems": {},
    }
    for system in _POPULATIONS:
      infinity = frechet.fad_infinity(side("stem", system), real, seed)
      table["systems"][system] = distances(whole, whole, name, system) | {
        "fad_infinity": infinity,
        "kad": frechet.kad(side("stem", system), real),
        "sub_fad": frechet.fad(side("mix", system), real_mixes),
      }
      if system in SCORED:
        table["systems"][system] |= _apa_intervals(whole, name, system, seed)
    tables[name] = _rounded(table)
  return tables


def _apa_intervals(
  measured: Measured, embedding: str, system: str, seed: int
) -> dict[str, float | None]:
  """Return `low` and `high` of each kind of APA, from resampled songs."""
  songs = np.array([one.about["song"] for one in measured])
  drawn = intervals.draws(songs, np.random.default_rng(seed))
  own = _population(measured, embedding, "mix", system)
  found: dict[str, float | None] = {}
  for measure, ends in APA_ENDS.items():
    one, other = (_population(measured, embedding, "mix", end) for end in ends)
    resampled = []
    # Fewer than elsewhere: each takes three roots of a covariance.
    for times in drawn.times[:_APA_RESAMPLES]:
      rows = np.repeat(np.arange(len(songs)), times.astype(int))
      populations = ([x[i] for i in rows.tolist()] for x in (own, one, other))
      resampled.append(frechet.apa(*populations))
    ends_of = intervals.around(0.0, np.array(resampled))
    found |= {f"{measure}_{end}": ends_of[end] for end in ("low", "high")}
  return found


def distance_text(found: Mapping[str, Any], name: str) -> str:
  """Format a figure of `DISTANCES`, APA with its interval where it has one."""
  if found.get(f"{name}_low") is None:
    return text_tables.number(found[name], 3)
  return intervals.text(*(found[name + x] for x in ("", "_low", "_high")))


def _population(
  measured: Measured, embedding: str, which: str, system: str
) -> frechet.Population:
  """Return the embeddings of a system's stems or mixes."""
  return [one.embeddings[embedding][which][system] for one in measured]


def distances(
  measured: Measured, fixed: Measured, embedding: str, system: str
) -> dict[str, float]:
  """Compute FAD and each kind of APA of a system.

  Args:
    measured: examples with the system.
    fixed: the same examples with the anchors.
    embedding: name of the embedding.
    system: system to compare with the anchors.
  """
  own = functools.partial(_population, measured, embedding)
  anchor = functools.partial(_population, fixed, embedding)
  found = {"fad": frechet.fad(own("stem", system), anchor("stem", "real"))}
  for measure, ends in APA_ENDS.items():
    # Mixes of stems with their contexts, as APA is defined.
    mixes = (anchor("mix", end) for end in ends)
    found[measure] = frechet.apa(own("mix", system), *mixes)
  return found


def _rounded(value: Any) -> Any:
  if isinstance(value, dict):
    return {name: _rounded(entry) for name, entry in value.items()}
  if isinstance(value, float):
    return finite.or_none(value, 5)
  return value


def table(result: Mapping[str, Any]) -> str:
  """Return the figures of `summarize` as text."""
  rows = [
    (
      x,
      *(
        text_tables.number(result["figures"][name][x]["mean"], 3)
        for name in FIGURES
      ),
    )
    for x in _COMPARED_BY_FIGURES
  ]
  lines = [
    f"{result['examples']} examples of {result['songs']} songs",
    text_tables.aligned(rows, ("", *FIGURES)),
  ]
  for group, systems in result["scores"].items():
    for system, found in systems.items():
      lines.append(f"{title(group)}, {system}: {score_text(found)}")
  for name, one in result["frechet"].items():
    rows = [
      (f"  {x}", *(distance_text(one["systems"][y], x) for y in _POPULATIONS))
      for x in DISTANCES
    ]
    lines.append(text_tables.aligned(rows, (name, *_POPULATIONS)))
  for name, of in {"mirdd": "mixes", "mirdd_stems": "stems"}.items():
    if name in result:
      means = (f"{x} {y['mean']:.3f}" for x, y in result[name].items())
      lines.append(f"MIRDD of {of}: {', '.join(means)}")
  return "\n".join(lines)


def score_text(found: Mapping[str, float | None]) -> str:
  """Format the result of `score`."""
  if found["score"] is None:
    return "the anchors do not differ"
  return intervals.text(
    found["score"], found["low"], found["high"], digits=0, percent=True
  )
