"""Figures of single examples into figures of a model, with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from stemgen_jax.evaluation.metrics import frechet, intervals, mirdd
from stemgen_jax.evaluation.studies.full import FIGURES, SYSTEMS, Judged

SCORED = ("generated", "shuffled")
DISTANCES = {
  "fad": "FAD",
  "fad_infinity": "FAD-infinity",
  "sub_fad": "sub-FAD",
  "apa": "APA",
  "apa_codes": "APA of codes",
}
APA_ENDS = {
  "apa": ("real", "random"),
  "apa_codes": ("round_trip", "random_codes"),
}
"""What has 1 and what has 0 in each kind of APA."""
_ENDS = ("random", "round_trip")
"""What is 0 in a score, and what is 1."""
_POPULATIONS = tuple(system for system in SYSTEMS if system != "real")


def summarise(judged: Sequence[Judged], seed: int = 0) -> dict[str, Any]:
  """All tables of an evaluation.

  Args:
    judged: the examples.
    seed: of the intervals and of the subsets of examples.

  Returns:
    A dict for JSON: `examples`, `songs`, `estimated` (examples whose truth was
    heard, not known), `seconds` of work, `categories`, how many of each;
    `figures`, `scores`, those `of_category`, `frechet`, and `mirdd` where mixes
    were described.
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
    "of_category": {},
  }
  values = {
    name: {system: values_of(judged, system, name) for system in SYSTEMS}
    for name in FIGURES
  }
  drawn = intervals.draws(songs, rng)
  for name, of_system in values.items():
    result["figures"][name] = {
      system: intervals.mean(found, drawn)
      for system, found in of_system.items()
    }
  result["scores"] = _scores(values, drawn)
  category = np.array([one.about["category"] for one in judged])
  for name in result["categories"]:
    rows = category == name
    mine = {
      figure: {system: found[rows] for system, found in of_system.items()}
      for figure, of_system in values.items()
    }
    result["of_category"][name] = _scores(
      mine, intervals.draws(songs[rows], rng)
    )
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


def _scores(
  values: Mapping[str, Mapping[str, Float[np.ndarray, " n"]]],
  draws: intervals.Draws,
) -> dict[str, Any]:
  """`score` of rhythm and of harmony, by system."""
  return {
    group: {
      system: score([values[name] for name in names], system, draws)
      for system in SCORED
    }
    for group, names in groups().items()
  }


def score(
  figures: Sequence[Mapping[str, Float[np.ndarray, " n"]]],
  system: str,
  draws: intervals.Draws,
) -> dict[str, float | None]:
  """Where a system stands between random pairing (0) and round trip (1).

  Of every figure the means of `system`, `random` and `round_trip` are taken
  over the examples that have all three; the score is the mean over the
  figures of (system - random) / (round trip - random).

  Args:
    figures: by system, the values of the examples.
    system: which is scored.
    draws: of the songs.

  Returns:
    `score` with its 95 % interval, `low` and `high`; None where the two
    anchors are not apart, `low` and `high` also where a figure has too few
    songs.
  """
  alike = np.ones((1, len(draws.song)))
  middle = float(standing(figures, system, alike)[0])
  resampled = standing(figures, system, resamples(figures, system, draws))
  found = intervals.around(middle, resampled)
  return {"score": found.pop("mean"), **found}


def resamples(
  figures: Sequence[Mapping[str, Float[np.ndarray, " n"]]],
  system: str,
  draws: intervals.Draws,
) -> Float[np.ndarray, "resamples n"]:
  """Weights for `standing`; none where a figure has too few songs."""
  there = [_compared(of_system, system) for of_system in figures]
  enough = all(draws.enough(ones) for ones in there if ones.any())
  return draws.times if enough else draws.times[:0]


def standing(
  figures: Sequence[Mapping[str, Float[np.ndarray, " n"]]],
  system: str,
  weights: Float[np.ndarray, "resamples n"],
) -> Float[np.ndarray, " resamples"]:
  """`score` under each resample, given as how often each example counts."""
  found = []
  for of_system in figures:
    there = _compared(of_system, system)
    if not there.any():
      continue
    rows = np.stack([of_system[x][there] for x in (system, *_ENDS)])
    sums = weights[:, there] @ rows.T  # [resamples, 3]
    mine, low, high = sums.T
    # Both have the same number of examples, which so need not be known.
    apart = np.where(high - low > 0, high - low, np.nan)
    found.append((mine - low) / apart)
  return np.mean(found, axis=0) if found else np.full(len(weights), np.nan)


def _compared(
  of_system: Mapping[str, Float[np.ndarray, " n"]], system: str
) -> Bool[np.ndarray, " n"]:
  """The examples that a figure has for a system and for both ends."""
  rows = np.stack([of_system[x] for x in (system, *_ENDS)])
  return np.logical_and.reduce(np.isfinite(rows))


def groups() -> dict[str, list[str]]:
  """What figures are of, and their names."""
  found: dict[str, list[str]] = {}
  for name, group in FIGURES.items():
    found.setdefault(group, []).append(name)
  return found


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

  Where the codec's sound moves a mix by more than another song's stem does, as
  the demo's does by its own latents, APA as it is defined is near 0 for all
  that was decoded, well played or not. `apa_codes` is between real and random
  stems that went through the codec, too.
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
        **apas(
          side("mix", system), lambda anchor, side=side: side("mix", anchor)
        ),
      }
    tables[name] = _rounded(table)
  return tables


def apas(
  mixes: frechet.Population, of: Callable[[str], frechet.Population]
) -> dict[str, float]:
  """Each kind of APA of mixes, where `of` gives those of an anchor."""
  return {
    measure: frechet.apa(mixes, of(near), of(far))
    for measure, (near, far) in APA_ENDS.items()
  }


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
