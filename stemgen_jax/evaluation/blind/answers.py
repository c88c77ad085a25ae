"""Answers of listeners to the blind test: their files, and a summary."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from stemgen_jax import disk, recipes, text_tables
from stemgen_jax.evaluation.blind.trials import ANCHORS, KINDS
from stemgen_jax.evaluation.metrics import intervals

SCALES = ("groove", "harmony", "overall")
_GREATEST = 5
FEW_LISTENERS = 5


def read_key(path: pathlib.Path) -> dict[str, Any]:
  """Read the key that was written with the page.

  Raises:
    FileNotFoundError: there is no key.
    ValueError: it is corrupt.
  """
  if not path.is_file():
    raise FileNotFoundError(
      f"{path}: file not found; expected the key of the page: give the --out "
      "that the page was made with"
    )
  fix = "make the page again, with another --out"
  key = recipes.read_sealed(path, fix)
  if not {"test", "trials", "kinds"} <= key.keys():
    raise ValueError(f"{path} is not the key of a listening test: {fix}")
  return key


def read(
  paths: Sequence[pathlib.Path], key: Mapping[str, Any]
) -> list[list[dict[str, Any]]]:
  """Read the answers of listeners, one file each.

  Returns:
    By listener and trial `ratings`, by name and scale, and `best`, a name.

  Raises:
    OSError: a file is missing.
    ValueError: a file is not the answers to this test, or some answers are
      missing or invalid, or two files are of one listener.
  """
  found, files = [], {}
  for path in paths:
    if not path.is_file():
      raise FileNotFoundError(
        f"--answers: {path} not found{disk.similar(path)}"
      )
    answers = disk.read_json(path, "save the answers again on the page")
    listener, trials = _check(path, answers, key)
    if other := files.get(listener):
      raise ValueError(
        f"--answers: {other} and {path} are of the same listener; expected one "
        "file of each: leave one out"
      )
    files[listener] = path
    found.append(trials)
  return found


def _check(
  path: pathlib.Path, answers: Mapping[str, Any], key: Mapping[str, Any]
) -> tuple[str, list[dict[str, Any]]]:
  test, listener = answers.get("test"), answers.get("listener")
  if test is None:
    raise ValueError(
      f"{path} is not a file of answers: save the answers again on the page"
    )
  if test != key["test"]:
    raise ValueError(
      f"{path}: answers to test {test}, expected {key['test']}: give the --out "
      "that their page was made with, or leave them out"
    )
  trials, expected = answers.get("trials"), key["trials"]
  if (
    not isinstance(listener, str)
    or not isinstance(trials, list)
    or len(trials) != len(expected)
    or not all(isinstance(x, dict) for x in trials)
  ):
    raise ValueError(
      f"{path} is not a file of answers with a listener and {len(expected)} "
      "trials: save the answers again on the page"
    )
  states = [_state(*pair) for pair in zip(trials, expected)]
  if "invalid" in states:
    raise ValueError(
      f"{path}: the answers to trial {states.index('invalid') + 1} are "
      f"invalid; expected ratings from 1 to {_GREATEST} and the best one of "
      f"its versions: save the answers again on the page"
    )
  if missing := states.count("missing"):
    raise ValueError(
      f"{path}: {len(states) - missing} of {len(states)} trials are answered, "
      "expected all: finish the page and save the answers again"
    )
  return listener, trials


def _state(answer: Mapping[str, Any], trial: Mapping[str, Any]) -> str:
  """Return "complete", "missing" or "invalid"."""
  ratings, best = answer.get("ratings"), answer.get("best")
  names = list(trial["versions"])
  if not isinstance(ratings, dict) or not ratings.keys() <= set(names):
    return "invalid"
  rated = [
    rating.get(scale) if isinstance(rating, dict) else None
    for rating in (ratings.get(name) for name in names)
    for scale in _scales(trial)
  ]
  if None in (*rated, best):
    return "missing"
  valid = all(type(x) is int and 1 <= x <= _GREATEST for x in rated)
  return "complete" if valid and best in names else "invalid"


def _scales(trial: Mapping[str, Any]) -> tuple[str, ...]:
  return SCALES if trial["harmony"] else ("groove", "overall")


def summarize(
  answers: Sequence[Sequence[Mapping[str, Any]]],
  key: Mapping[str, Any],
  seed: int,
) -> dict[str, Any]:
  """Compute means over listeners and trials, with intervals over both.

  Args:
    answers: as `read` returns them.
    key: as `read_key` returns it.
    seed: seed of the intervals.

  Returns:
    A dict for JSON: `listeners`, `trials`, `instruments` with their number of
    trials; `ratings` by kind and scale, `best` by kind, and `preferred`, the
    share of answers in which the generated stem is preferred to another kind,
    by overall rating, if equal by the choice of the best, and else half.
  """
  trials, kinds = key["trials"], key["kinds"]
  songs = np.array([trial["song"] for trial in trials])
  # [kind, listener, trial, scale]; NaN where a scale is not rated.
  ratings = np.array(
    [
      [
        [_rated(answer, trial, kind) for answer, trial in zip(one, trials)]
        for one in answers
      ]
      for kind in kinds
    ]
  )
  # [kind, listener, trial]
  best = np.array(
    [
      [
        [t["versions"][x["best"]] == kind for x, t in zip(one, trials)]
        for one in answers
      ]
      for kind in kinds
    ],
    float,
  )
  overall = dict(zip(kinds, ratings[..., SCALES.index("overall")]))
  chosen = dict(zip(kinds, best))

  def mean(values: Float[np.ndarray, "l t"]) -> dict[str, Any]:
    there = np.isfinite(values[0])  # a scale is rated by all or none
    return intervals.crossed_mean(values[:, there], songs[there], seed)

  return {
    "test": key["test"],
    "listeners": len(answers),
    "trials": len(trials),
    "instruments": dict(collections.Counter(x["instrument"] for x in trials)),
    "ratings": {
      kind: {
        scale: mean(ratings[number, ..., place])
        for place, scale in enumerate(SCALES)
      }
      for number, kind in enumerate(kinds)
    },
    "best": {kind: mean(values) for kind, values in chosen.items()},
    "preferred": {
      kind: mean(
        _preferred(
          overall["generated"] - overall[kind],
          chosen["generated"] - chosen[kind],
        )
      )
      for kind in kinds
      if kind != "generated"
    },
  }


def _rated(
  answer: Mapping[str, Any], trial: Mapping[str, Any], kind: str
) -> list[float]:
  (name,) = (x for x, other in trial["versions"].items() if other == kind)
  rating = answer["ratings"][name]
  rated = _scales(trial)
  return [rating[x] if x in rated else np.nan for x in SCALES]


def _preferred(
  overall: Float[np.ndarray, "l t"], chosen: Float[np.ndarray, "l t"]
) -> Float[np.ndarray, "l t"]:
  """Return 1 where the first of two is preferred, 0 the second, else 0.5."""
  return (1 + np.sign(np.where(overall == 0, chosen, overall))) / 2


def table(result: Mapping[str, Any]) -> str:
  """Return a summary as text."""

  def share(found: Mapping[str, Any]) -> str:
    return intervals.text_of(found, digits=0, percent=True)

  names = KINDS | ANCHORS
  rows = [
    (
      kind,
      *(intervals.text_of(of[x]) for x in SCALES),
      share(result["best"][kind]),
    )
    for kind, of in result["ratings"].items()
  ]
  preferred = [
    (f"generated preferred to {kind}", share(found), f"n={found['answers']}")
    for kind, found in result["preferred"].items()
  ]
  instruments = ", ".join(f"{n} {x}" for x, n in result["instruments"].items())
  ratings = next(iter(result["ratings"].values()))
  counts = ", ".join(f"{x} {ratings[x]['answers']}" for x in SCALES)
  lines = [
    f"listeners: {result['listeners']}, trials: {result['trials']} "
    f"({instruments}); ratings from 1 to {_GREATEST}, answers per kind: "
    f"{counts}; intervals (95 %) over trials and listeners",
    text_tables.aligned(rows, ("", *SCALES, "best")),
    text_tables.aligned(preferred),
    *(f"{kind}: {names[kind]}" for kind in result["ratings"]),
  ]
  if result["listeners"] < FEW_LISTENERS:
    lines.append(
      f"fewer than {FEW_LISTENERS} listeners: the intervals hold for these, "
      "others may differ by more"
    )
  return "\n".join(lines)
