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
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.measurement import Measurements
from stemgen_jax.evaluation.reporting import decoding_summary, decoding_table
from stemgen_jax.evaluation.song_subject import SongSubject
from stemgen_jax.evaluation.studies import grid as grid_lib
from stemgen_jax.sampling import Settings

_RECIPE = "recipe.json"

prepare = SongSubject
table = decoding_table.table


def run(subject: SongSubject) -> dict[str, Any]:
  """Compare the settings of --grid."""
  options = subject.options
  settings = grid_lib.load(
    options.grid or "", options.only or "", options.steps or ""
  )
  reference = options.reference or next(iter(settings))
  if reference not in settings:
    raise ValueError(
      f"--reference={reference}: expected one of {', '.join(settings)}, the "
      f"settings of {options.grid}"
    )
  recipe = subject.recipe() | ({"mirdd": True} if options.mirdd else {})
  measured = evaluate(subject, settings, recipe)
  return decoding_summary.summarize(measured, reference, options.seed)


def write(subject: SongSubject, result: Mapping[str, Any]) -> None:
  """Write decoding.md and decoding.png."""
  disk.write_text(subject.out / "decoding.md", table(result) + "\n")
  decoding_table.draw(subject.out / "decoding.png", result)


def evaluate(
  subject: SongSubject, grid: grid_lib.Grid, recipe: Mapping[str, Any]
) -> dict[str, list[Measurements]]:
  """Evaluate the examples of a subject under every setting.

  Results of an earlier run in the subject's folder are reused.

  Args:
    subject: model and examples.
    grid: settings by name.
    recipe: configuration of the results except for settings; the folder must
      belong to it.

  Returns:
    By name of the setting, the examples that can be compared with another
    song's stem; as "anchors" all examples, with the systems of
    `decoding_summary.ANCHORS`. The systems of a setting's examples are the
    seeds, as text.

  Raises:
    ValueError: the folder has results of another recipe, or of other settings
      of the same name, or a corrupt file; or fewer than two examples can be
      compared with another song's stem.
    OSError: the folder cannot be written.
  """
  out, seed = subject.out, subject.options.seed
  # Settings are compared over the same seeds.
  seeds = range(seed, seed + subject.options.seeds)
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
    path: pathlib.Path, place: int, settings: Settings | grid_lib.Drawn | None
  ) -> None:
    if isinstance(settings, grid_lib.Drawn):
      settings = settings.at(place, seed)
    _evaluate_one(subject, place, settings, seeds).save(path)

  def fill(
    folders: Mapping[str, pathlib.Path], places: Sequence[int], desc: str
  ) -> dict[str, list[Measurements]]:
    jobs = [
      (folder / f"{place:05d}.npz", place, grid.get(name))
      for name, folder in folders.items()
      for place in places
    ]
    # In the order of the settings, each with all examples.
    done = sharing.fill(
      jobs, evaluate_one, Measurements.load, count=len(jobs), desc=desc
    )
    return {
      name: [one for path, one in done.items() if path.parent == folder]
      for name, folder in folders.items()
    }

  places = list(itertools.islice(subject.examples, subject.options.examples))
  # Anchors first: they show which examples can be compared at all.
  anchored = fill({"anchors": out / "anchors"}, places, "anchors")
  compared = decoding_summary.comparable(anchored["anchors"])
  folders = {name: out / "settings" / name for name in grid}
  return anchored | fill(
    folders, [one.about["number"] for one in compared], "decoding"
  )


def _evaluate_one(
  subject: SongSubject,
  place: int,
  settings: Settings | None,
  seeds: Sequence[int],
) -> Measurements:
  """Measure the takes of an example; its anchors if `settings` is None."""
  began, engine = time.perf_counter(), subject.engine
  example = subject.examples.example(place)
  about = {}
  if settings is None:
    stems = measurement.anchors(engine.codec, example)
    stems = {x: stems[x] for x in decoding_summary.ANCHORS if x in stems}
    described = measurement.DESCRIBED
  else:
    takes = list(
      engine.takes(
        example.context,
        measurement.stem_of(engine, example),
        # Seeds of different examples never coincide.
        [seed + len(seeds) * place for seed in seeds],
        **measurement.conditions(engine, example),
        settings=settings,
      )
    )
    stems = {
      str(seed): Features(take.audio) for seed, take in zip(seeds, takes)
    }
    described = list(stems)
    # `playing`, seconds per take, is the key of earlier versions' results.
    elapsed = sum(take.elapsed for take in takes) / len(takes)
    about = {"passes": takes[0].passes, "playing": round(elapsed, 3)}
  return measurement.measure(
    example,
    stems,
    subject.embeddings,
    describe=subject.describe,
    described=described,
    began=began,
    **about,
  )
