"""Does every figure fall when a real stem is made worse? Needs no model.

Stems of the band's test songs are transposed, shifted, stretched, held on old
chords and changed in level, each also through the codec, and compared with
their context as generated stems are. A figure that does not fall under an
error cannot show that a model makes it.
"""

import itertools
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stemgen_jax import disk, recipes, text_tables
from stemgen_jax.data.sources.band import Band
from stemgen_jax.evaluation import measurement, perturbations, sharing
from stemgen_jax.evaluation.baselines import BASELINES
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.figures import FIGURES
from stemgen_jax.evaluation.measurement import Measurements
from stemgen_jax.evaluation.metrics import intervals
from stemgen_jax.evaluation.reporting import perturbation_plot, summary
from stemgen_jax.evaluation.song_subject import SongSubject

CODED = ", codec"
"""Suffix of the names of stems that were encoded and decoded."""
_ANCHORS = ("round_trip", "random", "random_codes", "silence", *BASELINES)
_FOLDER, _RECIPE = "examples", "recipe.json"

prepare = SongSubject


def run(subject: SongSubject) -> dict[str, Any]:
  """Measure the perturbations of an example of each of --songs songs.

  Raises:
    ValueError: the songs are not the band's, or too few.
  """
  source, options = subject.source, subject.options
  if not isinstance(source, Band):
    raise ValueError(
      f"songs of {source.name}: their notes cannot be rendered again; expected "
      "songs of the band: omit --data, or give a set of --source=band"
    )
  count = options.songs or 0
  if count > source.test:
    raise ValueError(
      f"--songs={count}: {source.name} has {source.test} test songs; expected "
      f"2 to {source.test}"
    )
  subject.check_weights()
  folder = subject.out / _FOLDER
  folder.mkdir(parents=True, exist_ok=True)
  recipe = subject.identity | {"measured": measurement.VERSION}
  recipes.check_or_create(subject.out / _RECIPE, recipe, f"{_FOLDER}/*.npz")

  def make(path: pathlib.Path, place: int) -> None:
    measure(subject, source, place).save(path)

  jobs = (
    (folder / f"{place:05d}.npz", place)
    for place in itertools.islice(subject.examples, count)
  )
  found = sharing.fill(
    jobs, make, Measurements.load, count=count, desc="perturbing"
  )
  return summarize(list(found.values()), options.seed)


def measure(subject: SongSubject, source: Band, place: int) -> Measurements:
  """Measure all perturbations of an example's real stem, and the anchors."""
  began = time.perf_counter()
  example, codec = subject.examples.example(place), subject.codec
  score = source.score(int(example.song.rpartition("-")[2]))
  (part,) = (part for part in score.parts if part.name == example.target)
  stems = measurement.anchors(codec, example)
  changed = perturbations.perturbed(
    source, score, part, example.start, example.real.seconds
  )
  for name, sound in changed:
    stems[name] = Features(perturbations.converted(sound, codec))
    stems[name + CODED] = Features(measurement.round_trip(codec, stems[name]))
  return measurement.measure(
    example, stems, {}, with_baselines=True, began=began
  )


def summarize(
  measured: Sequence[Measurements], seed: int = 0
) -> dict[str, Any]:
  """Compute means, and changes from the unperturbed stem.

  Returns:
    A dict for JSON: `examples`; `figures`, of each figure the mean of every
    stem with its 95 % interval over songs; `changes`, the same of differences
    from the unperturbed stem, without or with the codec as the stem;
    `unmoved`, of each figure the perturbations under which it does not fall.
  """
  songs = np.array([one.about["song"] for one in measured])
  drawn = intervals.draws(songs, np.random.default_rng(seed))
  plain = perturbations.names(pitched=True)
  names = [*plain, *(name + CODED for name in plain)]
  figures: dict[str, Any] = {}
  changes: dict[str, Any] = {}
  for figure in FIGURES:
    values = {
      name: summary.values_of(measured, name, figure)
      for name in (*names, *_ANCHORS)
    }
    figures[figure] = {
      name: intervals.mean(of, drawn) for name, of in values.items()
    }
    changes[figure] = {
      name: intervals.mean(values[name] - values[_unchanged(name)], drawn)
      for name in names
      if name != _unchanged(name)
    }
  return {
    "examples": len(measured),
    "songs": len(set(songs.tolist())),
    "figures": figures,
    "changes": changes,
    "unmoved": {
      figure: [
        name
        for name in plain[1:]
        if of[name]["mean"] is not None and not falls(of[name])
      ]
      for figure, of in changes.items()
    },
  }


def _unchanged(name: str) -> str:
  return perturbations.UNCHANGED + (CODED if name.endswith(CODED) else "")


def falls(change: Mapping[str, float | None]) -> bool:
  """Return whether a mean change is below 0, with all of its interval."""
  mean, high = change["mean"], change["high"]
  # Fewer songs than an interval needs: the mean decides.
  return mean is not None and (mean if high is None else high) < 0


def table(result: Mapping[str, Any]) -> str:
  """Return the means as Markdown, with the figures that do not fall."""
  plain = perturbations.names(pitched=True)
  figures, changes = result["figures"], result["changes"]
  rows = []
  for name in plain:
    cells = [name]
    for figure in FIGURES:
      mean, coded = (figures[figure][x]["mean"] for x in (name, name + CODED))
      mark = "" if name not in changes[figure] else " *"
      mark = mark if mark and falls(changes[figure][name]) else ""
      cells.append(
        f"{text_tables.number(mean)}{mark} ({text_tables.number(coded)})"
      )
    rows.append(cells)
  for name in _ANCHORS:
    means = (
      text_tables.number(figures[figure][name]["mean"]) for figure in FIGURES
    )
    rows.append([f"*{name.replace('_', ' ')}*", *means])
  lines = [
    f"{result['examples']} stems of {result['songs']} songs. In parentheses: "
    "through the codec. *: below the unchanged stem, with all of its 95 % "
    "interval.",
    "",
    text_tables.markdown(rows, ("", *FIGURES)),
    "",
  ]
  for figure, unmoved in result["unmoved"].items():
    measured = [
      name
      for name in plain[1:]
      if result["changes"][figure][name]["mean"] is not None
    ]
    if not measured:
      lines.append(
        f"- {figure} was not measured: it applies to none of the stems."
      )
    elif len(unmoved) == len(measured):
      lines.append(f"- **{figure} does not fall under any perturbation.**")
    elif unmoved:
      listed = ", ".join(_grouped(unmoved, plain))
      lines.append(f"- {figure} does not fall: {listed}.")
  return "\n".join(lines)


def _grouped(unmoved: Sequence[str], names: Sequence[str]) -> list[str]:
  """Write perturbations of a kind as one, where all of them are there."""
  found = list(unmoved)
  for kind in ("transposed", "late", "stretched", "level"):
    every = [name for name in names if name.startswith(kind)]
    if set(every) <= set(found):
      found[found.index(every[0])] = f"{kind} (all)"
      found = [name for name in found if name not in every]
  return found


def write(subject: SongSubject, result: Mapping[str, Any]) -> None:
  """Write perturbation.md and perturbation.png."""
  disk.write_text(subject.out / "perturbation.md", table(result) + "\n")
  perturbation_plot.draw(subject.out / "perturbation.png", result["figures"])
