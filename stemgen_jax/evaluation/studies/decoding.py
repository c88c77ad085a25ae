"""One model, the same examples, many ways to decode: what each is worth.

Every example is played under every setting with every seed; figures and
embeddings are kept in a file for each setting and example, so that a run that
was stopped goes on, several at once share the work, and settings that are added
later join those that are done.
"""

import dataclasses
import itertools
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from stemgen_jax.evaluation import sharing
from stemgen_jax.evaluation.metrics import frechet, intervals, mirdd
from stemgen_jax.evaluation.metrics.descriptors import Describe
from stemgen_jax.evaluation.metrics.embeddings import Embedding
from stemgen_jax.evaluation.protocol import ExampleList
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.studies.full import (
  FIGURES,
  Judged,
  anchors,
  bind,
  measure,
  told,
)
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

ANCHORS = ("real", "round_trip", "random", "random_codes")
_RECIPE = "recipe.json"


def run(
  player: StemGen,
  examples: ExampleList,
  out: pathlib.Path,
  grid: Mapping[str, Settings],
  *,
  count: int,
  seeds: Sequence[int],
  recipe: Mapping[str, Any],
  embeddings: Mapping[str, Embedding],
  describe: Describe | None = None,
) -> dict[str, list[Judged]]:
  """Plays and judges the first `count` examples under every setting.

  Args:
    player: model and codec.
    examples: the list.
    out: a folder; what is in it of an earlier run is not done again.
    grid: settings by name.
    count: of examples.
    seeds: of the takes of each example.
    recipe: what results depend on besides the settings; the folder is bound
      to it.
    embeddings: to take of every stem and mix.
    describe: descriptors to take of mixes, if any.

  Returns:
    By the name of the setting the examples that can be compared with another
    song's stem, and for `ANCHORS` as "anchors" all. The systems of a setting's
    examples are the seeds, as text.

  Raises:
    ValueError: `out` has results of another recipe, or of other settings of
      the same name, or a damaged file; or fewer than two examples can be
      compared with another song's stem.
    OSError: `out` cannot be written.
  """
  out.mkdir(parents=True, exist_ok=True)
  bind(
    out / _RECIPE,
    {**recipe, "seeds": list(seeds)},
    "anchors/*.npz",
    "settings/*/*.npz",
  )
  for name, settings in grid.items():
    folder = out / "settings" / name
    folder.mkdir(parents=True, exist_ok=True)
    bind(folder / "settings.json", dataclasses.asdict(settings), "*.npz")
  (out / "anchors").mkdir(exist_ok=True)

  def judge(path: pathlib.Path, place: int, settings: Settings | None) -> None:
    _judge(player, examples, place, settings, seeds, embeddings, describe).save(
      path
    )

  def fill(
    folders: Mapping[str, pathlib.Path], places: Sequence[int], desc: str
  ) -> dict[str, list[Judged]]:
    jobs = [
      (folder / f"{place:05d}.npz", place, grid.get(name))
      for name, folder in folders.items()
      for place in places
    ]
    done = sharing.fill(jobs, judge, Judged.load, count=len(jobs), desc=desc)
    return {
      name: [one for path, one in done.items() if path.parent == folder]
      for name, folder in folders.items()
    }

  places = list(itertools.islice(examples, count))
  anchored = fill({"anchors": out / "anchors"}, places, "anchors")
  comparable = [one.about["number"] for one in _comparable(anchored["anchors"])]
  folders = {name: out / "settings" / name for name in grid}
  return anchored | fill(folders, comparable, "decoding")


def _comparable(anchored: Sequence[Judged]) -> list[Judged]:
  """Those that have a stem of the category in another song.

  Raises:
    ValueError: there are fewer than two.
  """
  found = [one for one in anchored if "random" in one.figures]
  if len(found) < 2:
    raise ValueError(
      "fewer than two examples have a stem of the category in another song: "
      "take more --examples"
    )
  return found


def _judge(
  player: StemGen,
  examples: ExampleList,
  place: int,
  settings: Settings | None,
  seeds: Sequence[int],
  embeddings: Mapping[str, Embedding],
  describe: Describe | None,
) -> Judged:
  """The anchors of an example, or what is played to it under `settings`."""
  began = time.perf_counter()
  example = examples.example(place)
  if settings is None:
    stems = anchors(player.codec, example)
    stems = {name: stems[name] for name in ANCHORS if name in stems}
    return measure(example, stems, embeddings, describe=describe, began=began)
  takes = list(
    player.takes(
      example.context,
      example.category,
      [seed + len(seeds) * place for seed in seeds],
      **told(player, example),
      settings=settings,
    )
  )
  return measure(
    example,
    {str(seed): take.audio for seed, take in zip(seeds, takes)},
    embeddings,
    describe=describe,
    described=[str(seed) for seed in seeds],
    began=began,
    passes=takes[0].passes,
    playing=round(sum(take.elapsed for take in takes) / len(takes), 3),
  )


def summarise(
  found: Mapping[str, Sequence[Judged]], reference: str, seed: int = 0
) -> dict[str, Any]:
  """The table of a run.

  Scores are those of `summary.score`, over all seeds; distances are those of
  `summary.summarise`, means over the seeds. The quality of a setting is the
  mean of its scores, each at most 1, and its APA of codes by the last
  embedding: the codec's latents, which are the first, have as much of it for a
  stem that was played to another song's context. A setting's difference from
  the reference is taken example by example, and its interval over the songs.

  Args:
    found: what `run` returns.
    reference: name of the setting that the others are compared with.
    seed: of the intervals.

  Returns:
    A dict for JSON: `examples`, `seeds`, `reference`, `apa_by`, the embedding
    of the quality's APA, and by setting `rows` of
    `passes`, `playing` (seconds a take, as it came), `scores`, `differences`,
    `figures`, `frechet`, `mirdd` (None where mixes were not described),
    `quality` and its `spread` over the seeds; `anchors` have `figures`,
    `frechet` and `mirdd`; `mirdd_floor` is real mixes against other real ones.

  Raises:
    ValueError: there are fewer than two examples to compare.
  """
  fixed = _comparable(found["anchors"])
  judged = {name: ones for name, ones in found.items() if name != "anchors"}
  seeds = list(judged[reference][0].figures)
  songs = [one.about["song"] for one in fixed]
  weights = _Weights(
    draws=intervals.draws(
      np.array(songs * len(seeds)), np.random.default_rng(seed)
    ),
    seeds=np.repeat(np.eye(len(seeds)), len(fixed), axis=1),
  )
  compared = _columns(judged[reference], fixed, seeds)
  return {
    "examples": len(fixed),
    "songs": len(set(songs)),
    "seeds": len(seeds),
    "reference": reference,
    "apa_by": _apa_by(fixed),
    "rows": {
      name: _row(ones, fixed, seeds, compared, weights)
      for name, ones in judged.items()
    },
    "mirdd_floor": _mirdd_floor(fixed, seed),
    "anchors": {
      system: {
        "figures": {
          figure: _mean(summary.values_of(fixed, system, figure))
          for figure in FIGURES
        },
        "frechet": _distances(fixed, fixed, system),
        "mirdd": _mirdd(fixed, fixed, [system]),
      }
      for system in ANCHORS
    },
  }


class _Weights(NamedTuple):
  """How often each example counts, one seed after another."""

  draws: intervals.Draws
  seeds: Float[np.ndarray, "seeds n"]

  @property
  def alike(self) -> Float[np.ndarray, "1 n"]:
    """All once."""
    return np.ones((1, len(self.draws.song)))


_Columns = Mapping[str, Mapping[str, Float[np.ndarray, " n"]]]
"""Figure -> system -> its values, one seed after another."""


def _row(
  judged: Sequence[Judged],
  fixed: Sequence[Judged],
  seeds: Sequence[str],
  compared: _Columns,
  weights: _Weights,
) -> dict[str, Any]:
  """What `summarise` says of one setting."""
  columns = _columns(judged, fixed, seeds)
  distances = [_distances(judged, fixed, system) for system in seeds]
  apa_by = _apa_by(fixed)
  scores, differences = {}, {}
  qualities = [
    np.array([of_seed[apa_by]["apa_codes"] for of_seed in distances])
  ]
  for group, names in summary.groups().items():
    mine = [columns[name] for name in names]
    theirs = [compared[name] for name in names]

    def apart(which: np.ndarray, mine=mine, theirs=theirs) -> np.ndarray:
      return summary.standing(mine, "generated", which) - summary.standing(
        theirs, "generated", which
      )

    scores[group] = summary.score(mine, "generated", weights.draws)
    differences[group] = intervals.around(
      float(apart(weights.alike)[0]),
      apart(summary.resamples(mine, "generated", weights.draws)),
    )
    of_seeds = summary.standing(mine, "generated", weights.seeds)
    qualities.append(np.minimum(of_seeds, 1))
  quality = np.nanmean(qualities, axis=0)
  playing = float(np.median([one.about["playing"] for one in judged]))
  return {
    "passes": judged[0].about["passes"],
    "playing": round(playing, 3),
    "scores": scores,
    "differences": differences,
    "figures": {
      name: _mean(values["generated"]) for name, values in columns.items()
    },
    "frechet": {
      embedding: {
        measure: _mean([of_seed[embedding][measure] for of_seed in distances])
        for measure in measures
      }
      for embedding, measures in distances[0].items()
    },
    "mirdd": _mirdd(judged, fixed, seeds),
    "quality": _mean(quality),
    "spread": _mean([quality.std(ddof=1)]) if len(seeds) > 1 else None,
  }


def _columns(
  judged: Sequence[Judged], fixed: Sequence[Judged], seeds: Sequence[str]
) -> _Columns:
  found = {}
  for name in FIGURES:
    found[name] = {
      system: np.tile(summary.values_of(fixed, system, name), len(seeds))
      for system in ("random", "round_trip")
    }
    found[name]["generated"] = np.concatenate(
      [summary.values_of(judged, system, name) for system in seeds]
    )
  return found


def _apa_by(fixed: Sequence[Judged]) -> str:
  """The embedding of the quality's APA: the last."""
  return list(fixed[0].embeddings)[-1]


def _distances(
  judged: Sequence[Judged], fixed: Sequence[Judged], system: str
) -> dict[str, dict[str, float]]:
  """FAD and both kinds of APA of a system, by embedding."""
  found = {}
  for name in fixed[0].embeddings:

    def side(ones: Sequence[Judged], which: str, who: str, name=name) -> list:
      return [one.embeddings[name][which][who] for one in ones]

    stems = side(judged, "stem", system), side(fixed, "stem", "real")
    apas = summary.apas(
      side(judged, "mix", system),
      lambda anchor, side=side: side(fixed, "mix", anchor),
    )
    distances = {"fad": frechet.fad(*stems), **apas}
    found[name] = {x: round(value, 4) for x, value in distances.items()}
  return found


def _real_mixes(fixed: Sequence[Judged]) -> Sequence[mirdd.Described]:
  """What was described of the real mixes; nothing where one was not."""
  real = [one.descriptors["real"] for one in fixed if one.descriptors]
  return real if len(real) == len(fixed) else []


def _mirdd_floor(fixed: Sequence[Judged], seed: int) -> float | None:
  real = _real_mixes(fixed)
  return _mean([mirdd.floor(real, seed)["mean"]]) if real else None


def _mirdd(
  judged: Sequence[Judged], fixed: Sequence[Judged], systems: Sequence[str]
) -> float | None:
  """MIRDD of the mixes of each system, mean; None where none was described."""
  real = _real_mixes(fixed)
  if not real:
    return None
  found = []
  for system in systems:
    if all(system in one.descriptors for one in judged):
      mixes = [one.descriptors[system] for one in judged]
      found.append(mirdd.mirdd(real, mixes)["mean"])
  return _mean(found)


def _mean(values: Sequence[float] | np.ndarray) -> float | None:
  there = np.asarray(values)[np.isfinite(values)]
  return round(float(there.mean()), 4) if len(there) else None
