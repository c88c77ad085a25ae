"""Figures of single examples into figures of a model, with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from stemgen_jax.evaluation import frechet, intervals, mirdd
from stemgen_jax.evaluation.suite import FIGURES, SYSTEMS, Judged

SCORED = ("generated", "shuffled")
DISTANCES = {
  "fad": "FAD",
  "fad_infinity": "FAD-infinity",
  "sub_fad": "sub-FAD",
  "apa": "APA",
  "apa_codes": "APA of codes",
}
_POPULATIONS = tuple(system for system in SYSTEMS if system != "real")


def summarise(judged: Sequence[Judged], seed: int = 0) -> dict[str, Any]:
  """All tables of an evaluation.

  Args:
    judged: the examples.
    seed: of the intervals and of the subsets of examples.

  Returns:
    A dict for JSON: `examples`, `songs`, `estimated` (examples whose truth was
    heard, not known), `seconds` of work; `figures`, `scores`, `frechet`, and
    `mirdd` where mixes were described.
  """
  songs = np.array([one.about["song"] for one in judged])
  rng = np.random.default_rng(seed)
  result: dict[str, Any] = {
    "examples": len(judged),
    "songs": len(set(songs.tolist())),
    "estimated": sum(one.about["estimated"] for one in judged),
    "seconds": round(sum(one.about["seconds"] for one in judged), 1),
    "categories": _count(judged),
    "figures": {},
    "scores": {},
  }
  values = {
    name: {system: values_of(judged, system, name) for system in SYSTEMS}
    for name in FIGURES
  }
  drawn = draws(songs, rng)
  for name, of_system in values.items():
    result["figures"][name] = {
      system: mean(found, drawn) for system, found in of_system.items()
    }
  for group, names in groups().items():
    result["scores"][group] = {
      system: score([values[name] for name in names], system, drawn)
      for system in SCORED
    }
  result["frechet"] = _frechet(judged, seed)
  if any(one.descriptors for one in judged):
    described = {
      system: [
        one.descriptors[system] for one in judged if system in one.descriptors
      ]
      for system in ("real", "generated", "round_trip", "random")
    }
    result["mirdd"] = _rounded(mirdd.table(described, seed))
  return result


def score(
  figures: Sequence[Mapping[str, Float[np.ndarray, " n"]]],
  system: str,
  draws: Float[np.ndarray, "resamples n"],
) -> dict[str, float | None]:
  """Where a system stands between random pairing (0) and round trip (1).

  Of every figure the means of `system`, `random` and `round_trip` are taken
  over the examples that have all three; the score is the mean over the
  figures of (system - random) / (round trip - random).

  Args:
    figures: by system, the values of the examples.
    system: which is scored.
    draws: how often each example counts in each resample, as `draws`.

  Returns:
    `score` with its 95 % interval, `low` and `high`; None where the two
    anchors are not apart, `low` and `high` also where there are no draws.
  """

  middle = float(standing(figures, system, np.ones((1, draws.shape[1])))[0])
  found = interval(middle, standing(figures, system, draws))
  return {"score": found.pop("mean"), **found}


def interval(
  middle: float, around: Float[np.ndarray, " resamples"]
) -> dict[str, float | None]:
  """A `mean` with the 95 % interval of its resamples, `low` and `high`.

  These are None where there are no resamples, all where there is no mean.
  """
  if not np.isfinite(middle):
    return {"mean": None, "low": None, "high": None}
  low = high = None
  around = around[np.isfinite(around)]
  if len(around):
    low, high = (round(end, 4) for end in intervals.ends(around))
  return {"mean": round(middle, 4), "low": low, "high": high}


def standing(
  figures: Sequence[Mapping[str, Float[np.ndarray, " n"]]],
  system: str,
  weights: Float[np.ndarray, "resamples n"],
) -> Float[np.ndarray, " resamples"]:
  """`score` under each resample, given as how often each example counts."""
  found = []
  for of_system in figures:
    rows = np.stack([of_system[x] for x in (system, "random", "round_trip")])
    there = np.isfinite(rows).all(0)
    if not there.any():
      continue
    sums = weights[:, there] @ rows[:, there].T  # [resamples, 3]
    mine, low, high = sums.T
    # Both have the same number of examples, which so need not be known.
    apart = np.where(high - low > 0, high - low, np.nan)
    found.append((mine - low) / apart)
  return np.mean(found, axis=0) if found else np.full(len(weights), np.nan)


def groups() -> dict[str, list[str]]:
  """What figures are of, and their names."""
  found: dict[str, list[str]] = {}
  for name, group in FIGURES.items():
    found.setdefault(group, []).append(name)
  return found


def draws(
  songs: np.ndarray, rng: np.random.Generator
) -> Float[np.ndarray, "resamples n"]:
  """How often each example counts when songs are drawn with replacement.

  There are no resamples of fewer songs than `intervals.FEWEST_SONGS`.
  """
  _, song = np.unique(songs, return_inverse=True)
  count = song.max() + 1
  if count < intervals.FEWEST_SONGS:
    return np.zeros((0, len(song)))
  n = intervals.RESAMPLES
  taken = rng.integers(count, size=(n, count))
  times = np.zeros((n, count))
  np.add.at(times, (np.arange(n)[:, None], taken), 1)
  return times[:, song]


def mean(
  values: Float[np.ndarray, " n"], draws: Float[np.ndarray, "resamples n"]
) -> dict[str, float | int | None]:
  """Mean of the values that there are, and its 95 % interval.

  There is none of fewer values than `intervals.FEWEST_SONGS`.
  """
  there = np.isfinite(values)
  if not there.any():
    return {"mean": None, "low": None, "high": None, "examples": 0}
  if there.sum() < intervals.FEWEST_SONGS:
    draws = draws[:0]
  weights = draws[:, there]
  some = weights.sum(1) > 0
  means = (weights[some] @ values[there]) / weights[some].sum(1)
  found = interval(float(values[there].mean()), means)
  return {**found, "examples": int(there.sum())}


def values_of(
  judged: Sequence[Judged], system: str, name: str
) -> Float[np.ndarray, " n"]:
  """A figure of every example; NaN where there is none."""
  nothing = {name: float("nan")}
  return np.array([one.figures.get(system, nothing)[name] for one in judged])


def _count(judged: Sequence[Judged]) -> dict[str, int]:
  names = [one.about["category"] for one in judged]
  return {name: names.count(name) for name in sorted(set(names))}


def _frechet(judged: Sequence[Judged], seed: int) -> dict[str, Any]:
  """FAD of stems, sub-FAD of mixes and APA, by embedding and system.

  The codec's sound moves a mix by more than another song's stem does: APA as it
  is defined finds all that was decoded as far from the real as from the random
  mixes. `apa_codes` is that of the same two through the codec.
  """
  tables: dict[str, Any] = {}
  for name in judged[0].embeddings:
    # Examples that have every population, so that all are of the same ones.
    whole = [
      one.embeddings[name]
      for one in judged
      if "random" in one.embeddings[name]["stem"]
    ]
    if len(whole) < 2:
      continue

    def side(which: str, system: str, whole: list = whole) -> list:
      return [one[which][system] for one in whole]

    windows = np.concatenate(side("stem", "real"))
    table: dict[str, Any] = {
      "dimensions": windows.shape[1],
      "windows": len(windows),
      "examples": len(whole),
      "reference": "the real stems (FAD), their mixes (sub-FAD, APA), these "
      "and the random ones through the codec (APA of codes)",
      "systems": {},
    }
    for system in _POPULATIONS:
      table["systems"][system] = {
        "fad": frechet.fad(side("stem", system), side("stem", "real")),
        "fad_infinity": frechet.fad_infinity(
          side("stem", system), side("stem", "real"), seed
        ),
        "sub_fad": frechet.fad(side("mix", system), side("mix", "real")),
        "apa": frechet.apa(
          side("mix", system), side("mix", "real"), side("mix", "random")
        ),
        "apa_codes": frechet.apa(
          side("mix", system),
          side("mix", "round_trip"),
          side("mix", "random_codes"),
        ),
      }
    tables[name] = _rounded(table)
  return tables


def _rounded(value: Any) -> Any:
  if isinstance(value, dict):
    return {name: _rounded(entry) for name, entry in value.items()}
  if isinstance(value, float):
    return round(value, 5) if np.isfinite(value) else None
  return value


def table(result: Mapping[str, Any]) -> str:
  """What `summarise` returns, in lines to read."""
  lines = [f"{result['examples']} examples of {result['songs']} songs"]
  lines.append(f"{'':<20}" + "".join(f"{name:>14}" for name in SYSTEMS))
  for name in FIGURES:
    found = result["figures"][name]
    lines.append(
      f"{name:<20}" + "".join(f"{_said(found[x]['mean'])}" for x in SYSTEMS)
    )
  for group, systems in result["scores"].items():
    for system, found in systems.items():
      lines.append(f"{group}, {system}: {said_score(found)}")
  for name, one in result["frechet"].items():
    lines.append(f"{name:<20}" + "".join(f"{x:>14}" for x in _POPULATIONS))
    for measure in DISTANCES:
      values = (one["systems"][x][measure] for x in _POPULATIONS)
      lines.append(f"  {measure:<18}" + "".join(map(_said, values)))
  if "mirdd" in result:
    means = (f"{x} {y['mean']:.3f}" for x, y in result["mirdd"].items())
    lines.append(f"MIRDD: {', '.join(means)}")
  return "\n".join(lines)


def said_score(found: Mapping[str, float | None]) -> str:
  """What `score` returns, in words."""
  if found["score"] is None:
    return "anchors are not apart"
  return intervals.said(
    found["score"], found["low"], found["high"], digits=0, percent=True
  )


def _said(value: float | None) -> str:
  return f"{'-' if value is None else format(value, '.3f'):>14}"
