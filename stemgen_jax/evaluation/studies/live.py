"""Stems as `stemgen-jax live` generates them, by how much context is known.

The chunks of a stem are generated one after the other, each from its past and
from the context up to a bar before its start (as live), its start, or a bar
later. The same bars of a stem generated to the whole context, of the real stem
and of the usual anchors are measured alike.
"""

import dataclasses
import itertools
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from stemgen_jax import recipes, text_tables
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation import figures, measurement, sharing
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.measurement import Measurements
from stemgen_jax.evaluation.metrics import downbeats, intervals, notes
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.song_subject import SongSubject
from stemgen_jax.live.continuation import Continuation
from stemgen_jax.live.line import Line
from stemgen_jax.live.request import Controls, Request

LIVE = {
  "-1": "live: known up to a bar before each chunk",
  "0": "known up to the start of each chunk",
  "+1": "known up to a bar after it",
  "-1, repeated": "live, with --future=repeat",
}
"""Context offsets in bars, and which of them repeat what is known."""

SYSTEMS = LIVE | {
  "offline": "generated to the whole context",
  "real": "the real stem",
  "round_trip": "the real stem through the codec",
  "random": "a real stem of the instrument from another song",
  "silence": "silence",
}
SCORED = (*LIVE, "offline")
_COLUMNS = (
  *("metrical_phase", "grid_agreement", "chord_tone_share"),
  *("chroma_agreement", "coherence"),
)
_FIRST = 2  # bars before the first chunk: one is known, one is the slack
_VERSION = 1
_MOST_SKIPPED = 200

prepare = SongSubject


def run(subject: SongSubject) -> dict[str, Any]:
  """Measure examples at all context offsets; return a dict for JSON.

  Raises:
    ValueError: the folder has results of another recipe, the codec encodes
      segments of its own, or no example has enough bars.
  """
  options = subject.options
  notes.check()
  downbeats.check()
  recipe = subject.examples_recipe() | {
    "settings": dataclasses.asdict(subject.settings),
    "bars": options.bars,
    "measured": [measurement.VERSION, _VERSION],
  }
  folder = subject.out / "examples"
  folder.mkdir(parents=True, exist_ok=True)
  recipes.check_or_create(subject.out / "recipe.json", recipe, "examples/*.npz")

  def jobs() -> Iterator[sharing.Job]:
    for place in itertools.islice(_places(subject), options.examples):
      yield folder / f"{place:05d}.npz", place

  def make(path: pathlib.Path, place: int) -> None:
    _measured(subject, place).save(path)

  measured = sharing.fill(
    jobs(),
    make,
    Measurements.load,
    count=options.examples or 0,
    desc="examples",
  )
  return summarize(list(measured.values()), options.bars, options.seed)


def _places(subject: SongSubject) -> Iterator[int]:
  """Yield the places of examples with enough bars."""
  skipped = 0
  for place in subject.examples:
    if len(bar_lines(subject.examples.example(place))) > _FIRST + 1:
      skipped = 0
      yield place
    elif (skipped := skipped + 1) > _MOST_SKIPPED:
      raise ValueError(
        f"--seconds={subject.options.seconds:g}: {_MOST_SKIPPED} examples have "
        f"fewer than {_FIRST + 1} bars; expected longer ones"
      )


def bar_lines(example: Example) -> Int[np.ndarray, " bars"]:
  """Return the samples of the bar lines in an example."""
  sound = example.context
  times = example.annotations.downbeats
  times = times[(times >= 0) & (times <= sound.seconds)]
  return np.round(times * sound.sample_rate).astype(int)


def _measured(subject: SongSubject, place: int) -> Measurements:
  began = time.perf_counter()
  engine, example = subject.engine, subject.examples.example(place)
  conditions = measurement.conditions(engine, example)
  seed = subject.options.seed + example.number
  stems = {
    name: _live(subject, example, conditions, seed, name) for name in LIVE
  }
  stems["offline"] = engine.generate(
    example.context,
    measurement.stem_of(engine, example),
    **conditions,
    seed=seed,
    settings=subject.settings,
  ).audio
  for name, stem in measurement.anchors(engine.codec, example).items():
    if name in SYSTEMS:
      stems[name] = stem.sound
  lines = bar_lines(example)
  first, last = int(lines[_FIRST]), int(lines[-1])
  cut = {name: _cut(stem, first, last) for name, stem in stems.items()}
  rate = example.context.sample_rate
  part = dataclasses.replace(
    example,
    start=example.start + first / rate,
    context=_cut(example.context, first, last),
    real=cut["real"],
    annotations=example.annotations.within(first / rate, last / rate),
  )
  return measurement.measure(
    part,
    {name: Features(stem) for name, stem in cut.items()},
    {},
    began=began,
    bars=len(lines) - 1 - _FIRST,
  )


def _cut(sound: Audio, first: int, last: int) -> Audio:
  return Audio(sound.samples[first:last], sound.sample_rate)


def _live(
  subject: SongSubject,
  example: Example,
  conditions: Mapping[str, Any],
  seed: int,
  name: str,
) -> Audio:
  """Generate the chunks of a stem; its samples before them are silent."""
  offset, _, repeated = name.partition(", ")
  context, lines = example.context, bar_lines(example)
  rate, channels = context.sample_rate, context.channels
  ends = [*range(_FIRST, len(lines) - 1, subject.options.bars), len(lines) - 1]
  chunks = list(itertools.pairwise(ends))
  longest = max(lines[stop] - lines[start] for start, stop in chunks)
  wanted = Controls(
    stem=measurement.stem_of(subject.engine, example), seed=seed, **conditions
  )
  generator = Continuation(
    subject.engine,
    subject.settings,
    sample_rate=rate,
    channels=channels,
    seconds=float(longest) / rate,
    future="repeat" if repeated else "unknown",
  )
  known = context.samples

  def read(start: int, stop: int) -> np.ndarray:
    part = known[max(start, 0) : stop]
    before = max(0, min(stop, 0) - start)
    after = stop - start - before - len(part)
    return np.pad(part, ((before, after), (0, 0)))

  line, sounds = Line(channels), [np.zeros((lines[_FIRST], channels))]
  for start, stop in chunks:
    request = Request(
      layer="",
      bar=start,
      start=int(lines[start]),
      stop=int(lines[stop]),
      known=int(lines[min(start + int(offset), len(lines) - 1)]),
      controls=wanted,
      bars=stop - start,
      read=read,
      voices=line.voices,
    )
    line.expect(request.start)
    line.deliver(generator(request, len(generator.passes) - 1).chunk)
    sounds.append(line.render(request.start, request.stop)[0])
  rest = len(known) - int(lines[-1])
  sounds.append(np.zeros((rest, channels)))
  return Audio(np.concatenate(sounds).astype(np.float32), rate)


def summarize(
  measured: Sequence[Measurements], bars: int, seed: int
) -> dict[str, Any]:
  """Return means by figure and system, with intervals over songs.

  Returns:
    A dict for JSON: `examples`, `songs`, `bars` of a chunk, `estimated`;
    `figures` by figure and system; `scores` of rhythm and harmony between
    another song's stem and the real one through the codec, by system; and
    `to_offline`, the mean differences from the offline stem.
  """
  songs = np.array([one.about["song"] for one in measured])
  drawn = intervals.draws(songs, np.random.default_rng(seed))
  values = {
    figure: {
      system: summary.values_of(measured, system, figure) for system in SYSTEMS
    }
    for figure in figures.FIGURES
  }
  groups = {
    group: [values[name] for name in names]
    for group, names in summary.groups().items()
    if group in summary.COMPARED
  }
  return {
    "examples": len(measured),
    "songs": len(set(songs.tolist())),
    "bars": bars,
    "estimated": sum(one.about["estimated"] for one in measured),
    "figures": {
      figure: {x: intervals.mean(of[x], drawn) for x in SYSTEMS}
      for figure, of in values.items()
    },
    "scores": {
      group: {x: summary.score(of, x, drawn) for x in SCORED}
      for group, of in groups.items()
    },
    "to_offline": {
      figure: {x: intervals.mean(of[x] - of["offline"], drawn) for x in LIVE}
      for figure, of in values.items()
    },
  }


def table(result: Mapping[str, Any]) -> str:
  """Return the figures as a Markdown table."""
  rows = []
  for system, title in SYSTEMS.items():
    cells = [
      intervals.text_of(result["figures"][name][system]) for name in _COLUMNS
    ]
    score = result["scores"]["harmony"].get(system)
    if score:
      ends = (score[x] for x in ("score", "low", "high"))
      cells.append(intervals.text(*ends, digits=0, percent=True))
    else:
      cells.append("")
    rows.append((system, *cells, title))
  header = ("context", *_COLUMNS, "harmony", "")
  return (
    f"{result['examples']} examples of {result['songs']} songs, chunks of "
    f"{result['bars']} bars\n\n{text_tables.markdown(rows, header)}"
  )
