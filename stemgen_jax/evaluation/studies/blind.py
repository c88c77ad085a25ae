"""Do listeners who do not know which stem is generated think that it fits?

Without --answers, it makes a page on which listeners rate stems, and the key to
it. With --answers, it summarizes their answers.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from stemgen_jax import disk, recipes
from stemgen_jax.evaluation.blind import answers, page, trials
from stemgen_jax.evaluation.song_subject import SongSubject

PAGE, KEY = "listening_test.html", "key.json"
_RECIPE = "evaluation.json"

prepare = SongSubject


def run(subject: SongSubject) -> dict[str, Any]:
  """Make the page, or summarize the answers."""
  options = subject.options
  if options.answers:
    return summarize(subject.out, options.answers, options.seed)
  kinds = trials.kinds(options.anchors)
  if "original" in kinds and subject.missing_songs:
    raise ValueError(
      f"--anchors=original: {subject.missing_songs}, so real stems are known "
      "through the codec only; leave it out"
    )
  return make(subject, kinds, subject.examples_recipe())


def make(
  subject: SongSubject, kinds: tuple[str, ...], recipe: Mapping[str, Any]
) -> dict[str, Any]:
  """Write the page and its key.

  Args:
    subject: model and examples.
    kinds: kinds of stems in each trial.
    recipe: configuration of weights and examples; the folder must belong to
      it.

  Returns:
    A dict for JSON that describes the test.
  """
  options = subject.options
  settings = {
    "preset": options.preset,
    "seconds": options.seconds,
    "data": subject.data,
    "kinds": list(kinds),
  }
  # A page of other trials would not fit answers that were given before.
  recipe = {**recipe, **settings, "trials": options.examples}
  recipes.check_or_create(
    subject.out / _RECIPE, recipe, f"{trials.FOLDER}/*.json"
  )
  made = trials.make(subject, kinds)
  keys = [
    {
      **{name: trial[name] for name in ("song", "start", "instrument")},
      "harmony": trial["harmony"],
      "versions": {x["name"]: x["kind"] for x in trial["versions"]},
    }
    for trial in made
  ]
  names = [list(trial["versions"]) for trial in keys]
  about = {
    "test": recipes.digest(names)[:12],
    "weights": options.weights,
    **settings,
  }
  key = recipes.sealed({**about, "trials": keys})
  disk.write_json(subject.out / KEY, key)
  page.write(subject.out / PAGE, about["test"], made)
  return {**about, "trials": len(made), "page": str(subject.out / PAGE)}


def summarize(out: pathlib.Path, files: str, seed: int) -> dict[str, Any]:
  """Summarize the files of --answers, given the key in --out."""
  key = answers.read_key(out / KEY)
  paths = [pathlib.Path(x.strip()) for x in files.split(",") if x.strip()]
  if not paths:
    raise ValueError(f"--answers={files}: expected files, as A.json,B.json")
  found = answers.summarize(answers.read(paths, key), key, seed)
  about = {name: x for name, x in key.items() if name != "trials"}
  return {**about, **found}


def table(result: Mapping[str, Any]) -> str:
  """Return the summary of answers, or how to use the page."""
  if "listeners" in result:
    return answers.table(result)
  return (
    f"{result['trials']} trials of {', '.join(result['kinds'])}\n"
    f"wrote {result['page']}: give it to listeners, who open it in a browser "
    f"and return a file of answers; keep {KEY}, which summarizes them:\n"
    f"  stemgen-jax evaluate --what=blind --answers=FILE,FILE "
    f"--out={pathlib.Path(result['page']).parent}"
  )
