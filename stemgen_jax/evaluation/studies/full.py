"""Evaluate weights on examples of test songs, with a page of the results.

First all stems are generated, then they are measured in worker processes. Each
example leaves a file of each phase in the folder. A stopped run resumes; a
longer one extends a shorter one; several processes share the work.
"""

import dataclasses
import functools
import itertools
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stemgen_jax import audio, recipes
from stemgen_jax.audio import Audio
from stemgen_jax.codec.device import processors
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import workers as workers_lib
from stemgen_jax.evaluation import generated_stems, measurement, sharing
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.measurement import Measurements
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.reporting import page, sessions, summary
from stemgen_jax.evaluation.song_subject import SongSubject
from stemgen_jax.evaluation.studies import STUDIES, listening

_FOLDER, _STEMS, _RECIPE = "examples", "stems", "evaluation.json"

prepare = SongSubject
table = summary.table


def run(subject: SongSubject) -> dict[str, Any]:
  """Return the summary, with `listening` where it can be measured."""
  options = subject.options
  recipe = subject.recipe() | {
    "settings": dataclasses.asdict(subject.settings),
    "mirdd": subject.describe is not None,
  }
  check_or_create(subject.out, recipe)
  # First, as it is quick and its errors would otherwise come after hours.
  predicted = _listening(subject)
  measured = evaluate(subject, recipe)
  # Keys of report.json, in their order.
  result = summary.summarize(measured, options.seed) | {
    "weights": options.weights,
    "preset": options.preset,
    "data": subject.data,
  }
  # The page omits the section if it is missing.
  return result | ({"listening": predicted} if predicted else {})


def write(subject: SongSubject, result: Mapping[str, Any]) -> None:
  """Write report.html, with players of the first examples."""
  options = subject.options
  path = subject.out / "report.html"
  shown = itertools.islice(
    subject.examples, min(options.shown, result["examples"])
  )
  examples = map(subject.examples.example, shown)
  page.write(
    path,
    result,
    [(example, stem(subject, example)) for example in examples],
    sessions.sessions(
      subject.engine,
      subject.settings,
      variations=options.variations,
      seed=options.seed,
      folder=subject.out / "sessions",
    ),
  )
  print(f"wrote {path}: {path.stat().st_size / 1e6:.1f} MB")


def _listening(subject: SongSubject) -> dict[str, Any] | None:
  """Run the listening study on fewer examples; None if there are too few."""
  data, config = subject.options.data, subject.engine.config
  count = STUDIES["listening"].defaults["examples"]
  if data:
    pairs = Manifest.load(data).counts[subject.options.split]
    count = min(count, pairs["pairs"] - pairs["empty"])
  # No more than the full study itself has.
  count = min(count, subject.options.examples or count)
  examples = subject.coded_examples(config, count)
  if examples.checksum != config.codec_checksum and not data:
    print(
      "listening is omitted: the examples in the package are of the codec "
      f"{examples.codec}, the weights of {config.codec}; give --data"
    )
    return None
  if not listening.can_exchange(examples.song):
    print(
      f"listening is omitted: one song has more than half of the "
      f"{len(examples)} test pairs, so contexts cannot be exchanged"
    )
    return None
  result = listening.evaluate(subject, examples)
  print(listening.table(result))
  return result


def evaluate(
  subject: SongSubject, recipe: Mapping[str, Any]
) -> list[Measurements]:
  """Evaluate the examples of a subject; those in its folder are reused.

  Example i is generated with seed + i.

  Args:
    subject: model and examples.
    recipe: configuration of the results; the folder must belong to it.

  Raises:
    ValueError: the folder has results of another recipe, or a corrupt file.
    OSError: the folder cannot be written.
  """
  check_or_create(subject.out, recipe)
  places = generate(subject)
  return measure(subject, places)


def generate(subject: SongSubject) -> list[int]:
  """Generate the stems of all examples that have not been measured yet.

  Returns:
    Places of the examples in the list.
  """
  count = subject.options.examples or 0
  for name in (_FOLDER, _STEMS):
    (subject.out / name).mkdir(parents=True, exist_ok=True)
  places = []

  def jobs() -> Iterator[sharing.Job]:
    for place in itertools.islice(subject.examples, count):
      places.append(place)
      measured = _measured_path(subject.out, place)
      if measured.is_file():  # the stems are no longer needed
        yield measured, place
        continue
      path = generated_stems.path_of(subject.out / _STEMS, place)
      if not generated_stems.is_whole(path):
        path.unlink(missing_ok=True)
      yield path, place

  def make(path: pathlib.Path, place: int) -> None:
    began = time.perf_counter()
    example = subject.examples.example(place)
    stems = {
      "generated": generate_stem(subject, example, example.context),
      "shuffled": generate_stem(
        subject, example, subject.examples.other_context(place)
      ),
    }
    audio.write(
      stem_path(subject.out, place), stems["generated"], bits=16, overwrite=True
    )
    generated_stems.save(path, stems, time.perf_counter() - began)

  # Nothing to read: the stems of all examples would fill the memory.
  sharing.fill(jobs(), make, lambda path: None, count=count, desc="generating")
  return places


def measure(subject: SongSubject, places: Sequence[int]) -> list[Measurements]:
  """Measure examples whose stems have been generated, in --workers processes.

  Figures do not depend on the number of workers.

  Raises:
    OSError: a worker was killed.
  """
  jobs = [(_measured_path(subject.out, place), place) for place in places]
  options = {"count": len(jobs), "desc": "measuring"}
  missing = sum(not path.is_file() for path, _ in jobs)
  workers = subject.options.workers
  workers = min(missing, processors() if workers is None else workers)
  if not workers:
    make = functools.partial(measure_one, subject)
    return list(sharing.fill(jobs, make, Measurements.load, **options).values())
  with workers_lib.pool(
    workers,
    _load_subject,
    functools.partial(type(subject), subject.options),
    kept="the examples that are measured are kept",
  ) as pool:
    found = sharing.fill(
      jobs, _measure_in_worker, Measurements.load, run=pool.map, **options
    )
  return list(found.values())


def measure_one(subject: SongSubject, path: pathlib.Path, place: int) -> None:
  """Measure the stems of an example and write its file."""
  began = time.perf_counter()
  generated, spent = generated_stems.load(
    generated_stems.path_of(subject.out / _STEMS, place)
  )
  example = subject.examples.example(place)
  stems = measurement.anchors(subject.codec, example)
  stems |= {name: Features(sound) for name, sound in generated.items()}
  measurement.measure(
    example,
    stems,
    subject.embeddings,
    describe=subject.describe,
    stems_described=True,
    with_baselines=True,
    began=began,
    spent=spent,
  ).save(path)


_subject: SongSubject  # of a worker process


def _load_subject(load: Callable[[], SongSubject]) -> None:
  global _subject
  _subject = load()


def _measure_in_worker(path: pathlib.Path, place: int) -> None:
  measure_one(_subject, path, place)


def _measured_path(out: pathlib.Path, place: int) -> pathlib.Path:
  return out / _FOLDER / f"{place:05d}.npz"


def check_or_create(out: pathlib.Path, recipe: Mapping[str, Any]) -> None:
  """Check that the folder of `evaluate` belongs to a recipe, or write it."""
  recipes.check_or_create(out / _RECIPE, recipe, f"{_FOLDER}/*.npz")


def stem_path(out: pathlib.Path, number: int) -> pathlib.Path:
  """Return the file of the stem that was generated to an example."""
  return out / _FOLDER / f"{number:05d}.flac"


def stem(subject: SongSubject, example: Example) -> Audio:
  """Read the stem that `evaluate` generated; generate a lost one again.

  Raises:
    ValueError: the file is corrupt.
  """
  path = stem_path(subject.out, example.number)
  if not path.is_file():
    sound = generate_stem(subject, example, example.context)
    # Another process may have written the same stem meanwhile.
    audio.write(path, sound, bits=16, overwrite=True)
  try:
    return audio.read(path)
  except ValueError as error:
    raise ValueError(
      f"{error}: delete {path} and evaluate again, which regenerates it"
    ) from error


def generate_stem(
  subject: SongSubject, example: Example, context: Audio
) -> Audio:
  """Generate a stem of the example's category to a context."""
  engine = subject.engine
  return engine.generate(
    context,
    measurement.stem_of(engine, example),
    **measurement.conditions(engine, example),
    seed=subject.options.seed + example.number,
    settings=subject.settings,
  ).audio
