"""Compare sampling settings: one model and the same examples for all.

Stems are generated to every example under every setting with every seed.
Figures and embeddings are kept in a file per setting and example: a stopped
run resumes, several processes share the work, and settings that are added
later extend the results.
"""

import dataclasses
import itertools
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import disk, recipes
from stemgen_jax.evaluation import measurement, sharing
from stemgen_jax.evaluation.measurement import Measurements
from stemgen_jax.evaluation.metrics.descriptors import Describe
from stemgen_jax.evaluation.metrics.embeddings import Embedding
from stemgen_jax.evaluation.protocol import ExampleList
from stemgen_jax.evaluation.reporting import decoding_summary, decoding_table
from stemgen_jax.evaluation.song_subject import SongSubject
from stemgen_jax.evaluation.studies import grid as grid_lib
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

_RECIPE = "recipe.json"

prepare = SongSubject
table = decoding_table.table


def run(subject: SongSubject) -> dict[str, Any]:
  """Compare the settings of --grid."""
  options = subject.options
  settings = grid_lib.load(options.grid or "")
  reference = options.reference or next(iter(settings))
  if reference not in settings:
    raise ValueError(
      f"--reference={reference}: expected one of {', '.join(settings)}, the "
      f"settings of {options.grid}"
    )
  found = evaluate(
    subject.engine,
    subject.examples,
    subject.out,
    settings,
    count=options.examples or 0,
    seeds=range(options.seed, options.seed + options.seeds),
    recipe=subject.recipe() | ({"mirdd": True} if options.mirdd else {}),
    embeddings=subject.embeddings,
    describe=subject.describe,
  )
  return decoding_summary.summarize(found, reference, options.seed)


def write(subject: SongSubject, result: Mapping[str, Any]) -> None:
  """Write decoding.md and decoding.png."""
  with disk.replacing(subject.out / "decoding.md") as partial:
    partial.write_text(table(result) + "\n", encoding="utf-8")
  decoding_table.draw(subject.out / "decoding.png", result)


def evaluate(
  engine: StemGen,
  examples: ExampleList,
  out: pathlib.Path,
  grid: Mapping[str, Settings],
  *,
  count: int,
  seeds: Sequence[int],
  recipe: Mapping[str, Any],
  embeddings: Mapping[str, Embedding],
  describe: Describe | None = None,
) -> dict[str, list[Measurements]]:
  """Evaluate the first `count` examples under every setting.

  Args:
    engine: model and codec.
    examples: the list.
    out: a folder; results of an earlier run in it are reused.
    grid: settings by name.
    count: number of examples.
    seeds: seeds of the takes of each example.
    recipe: what results depend on besides the settings; the folder must belong
      to it.
    embeddings: computed of every stem and mix.
    describe: descriptors of mixes, if any.

  Returns:
    By name of the setting, the examples that can be compared with another
    song's stem; as "anchors" all examples, with the systems of
    `decoding_summary.ANCHORS`. The systems of a setting's examples are the
    seeds, as text.

  Raises:
    ValueError: `out` has results of another recipe, or of other settings of
      the same name, or a corrupt file; or fewer than two examples can be
      compared with another song's stem.
    OSError: `out` cannot be written.
  """
  out.mkdir(parents=True, exist_ok=True)
  recipes.check_or_create(
    out / _RECIPE,
    {**recipe, "seeds": list(seeds)},
    "anchors/*.npz",
    "settings/*/*.npz",
  )
  for name, settings in grid.items():
    folder = out / "settings" / name
    folder.mkdir(parents=True, exist_ok=True)
    recipes.check_or_create(
      folder / "settings.json", dataclasses.asdict(settings), "*.npz"
    )
  (out / "anchors").mkdir(exist_ok=True)

  def evaluate_one(
    path: pathlib.Path, place: int, settings: Settings | None
  ) -> None:
    _evaluate_one(
      engine, examples, place, settings, seeds, embeddings, describe
    ).save(path)

  def fill(
    folders: Mapping[str, pathlib.Path], places: Sequence[int], desc: str
  ) -> dict[str, list[Measurements]]:
    jobs = [
      (folder / f"{place:05d}.npz", place, grid.get(name))
      for name, folder in folders.items()
      for place in places
    ]
    done = sharing.fill(
      jobs, evaluate_one, Measurements.load, count=len(jobs), desc=desc
    )
    return {
      name: [one for path, one in done.items() if path.parent == folder]
      for name, folder in folders.items()
    }

  places = list(itertools.islice(examples, count))
  # Anchors first: they show which examples can be compared at all.
  anchored = fill({"anchors": out / "anchors"}, places, "anchors")
  compared = decoding_summary.comparable(anchored["anchors"])
  folders = {name: out / "settings" / name for name in grid}
  return anchored | fill(
    folders, [one.about["number"] for one in compared], "decoding"
  )


def _evaluate_one(
  engine: StemGen,
  examples: ExampleList,
  place: int,
  settings: Settings | None,
  seeds: Sequence[int],
  embeddings: Mapping[str, Embedding],
  describe: Describe | None,
) -> Measurements:
  """Measure the takes of an example; its anchors if `settings` is None."""
  began = time.perf_counter()
  example = examples.example(place)
  if settings is None:
    stems = measurement.anchors(engine.codec, example)
    stems = {
      name: stems[name] for name in decoding_summary.ANCHORS if name in stems
    }
    return measurement.measure(
      example, stems, embeddings, describe=describe, began=began
    )
  takes = list(
    engine.takes(
      example.context,
      example.category,
      # Seeds of different examples never coincide.
      [seed + len(seeds) * place for seed in seeds],
      **measurement.conditions(engine, example),
      settings=settings,
    )
  )
  return measurement.measure(
    example,
    {str(seed): take.audio for seed, take in zip(seeds, takes)},
    embeddings,
    describe=describe,
    described=[str(seed) for seed in seeds],
    began=began,
    passes=takes[0].passes,
    # The key of results by earlier versions: seconds per take.
    playing=round(sum(take.elapsed for take in takes) / len(takes), 3),
  )
