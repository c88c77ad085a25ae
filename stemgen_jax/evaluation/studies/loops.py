"""Does the model keep time with loops unlike its training data?

Every loop is repeated to some seconds and a stem is generated to it. The beats
of the stem are compared with those estimated in the loop, and two anchors with
them: the loop itself, which shows the error of the beat tracker, and the stem
that was generated to the next loop, which does not depend on this one.
"""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stemgen_jax import audio, disk, finite, progress, text_tables
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation import reference_annotations
from stemgen_jax.evaluation.metrics import intervals, rhythm
from stemgen_jax.evaluation.subject import Subject
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

SYSTEMS = {
  "generated": "generated to the loop",
  "other": "generated to the next loop",
  "loop": "the loop itself",
}
FIGURES = ("beat_f1", "grid_agreement")


def run(subject: Subject) -> dict[str, Any]:
  """Evaluate the loops that match --files."""
  options = subject.options
  files = disk.matching(options.files or "")
  return loops(
    subject.engine,
    files,
    subject.out / "played",
    seconds=options.seconds,
    settings=subject.settings,
    seed=options.seed,
  )


def generate(
  engine: StemGen,
  sounds: Mapping[str, Audio],
  stems: Sequence[str],
  out: pathlib.Path,
  settings: Settings | None,
  seed: int,
) -> Iterator[tuple[str, list[Audio]]]:
  """Generate stems to recordings, and write them as NAME-STEM.wav.

  Args:
    engine: model and codec.
    sounds: recordings by name.
    stems: instruments that are generated to each.
    out: folder of the files, which replace those of an earlier run.
    settings: how to sample.
    seed: recording i is generated to with seed + i.

  Yields:
    Each instrument, and its stems for all recordings.
  """
  with progress.bar(
    total=len(stems) * len(sounds), desc="generating", unit="stem", seconds=0.5
  ) as bar:
    for stem in stems:
      takes = []
      for number, (name, sound) in enumerate(sounds.items()):
        take = engine.generate(
          sound, stem, seed=seed + number, settings=settings
        )
        takes.append(take.audio)
        path = out / f"{name}-{stem}.wav"
        audio.write(path, take.audio, bits=16, overwrite=True)
        bar.update()
      yield stem, takes


def loops(
  engine: StemGen,
  files: Sequence[pathlib.Path],
  out: pathlib.Path,
  *,
  stems: Sequence[str] = ("drums", "bass"),
  seconds: float = 10.0,
  settings: Settings | None = None,
  seed: int = 0,
) -> dict[str, Any]:
  """Generate stems to loops and compare their beats.

  Args:
    engine: model and codec.
    files: at least two loops.
    out: folder for the audio, made if necessary: 000-LOOP.wav and
      000-LOOP-STEM.wav, which replace those of an earlier run.
    stems: instruments that are generated to each loop.
    seconds: length that loops are repeated or cut to.
    settings: how to sample.
    seed: loop i is generated to with seed + i; also of the intervals.

  Returns:
    A dict for JSON: `loops`; by stem and figure of `FIGURES` each system's
    `mean` with its 95 % interval over the loops, `low` and `high`; `each`, the
    figures of every loop, None for loops with fewer than two beats; and
    `beats`, the number of beats in every loop.

  Raises:
    ValueError: there are fewer than two loops, or a file is not audio.
    OSError: a file is missing, or `out` cannot be written.
  """
  if len(files) < 2:
    raise ValueError(
      f"{len(files)} loops: expected at least 2, as each is compared with "
      "another"
    )
  # Decode all files first: an unreadable one is an early error.
  sounds = [repeated(audio.read(path), seconds) for path in files]
  annotations = [
    reference_annotations.estimate(audio.mono(x), x.sample_rate) for x in sounds
  ]
  names = [f"{n:03d}-{path.stem}" for n, path in enumerate(files)]
  out.mkdir(parents=True, exist_ok=True)
  for name, sound in zip(names, sounds):
    audio.write(out / f"{name}.wav", sound, bits=16, overwrite=True)
  generated = generate(
    engine, dict(zip(names, sounds)), stems, out, settings, seed
  )
  takes = dict(generated)
  # Every loop counts as a song of its own.
  draws = intervals.draws(np.arange(len(files)), np.random.default_rng(seed))
  each, means = {}, {}
  for stem, own in takes.items():
    systems = {
      "generated": own,
      # The stem of the next loop, compared with this one.
      "other": [*own[1:], own[0]],
      "loop": sounds,
    }
    found = {
      system: [_figures(*pair) for pair in zip(ones, annotations)]
      for system, ones in systems.items()
    }
    each[stem] = {
      str(path): {system: found[system][number] for system in systems}
      for number, path in enumerate(files)
    }
    means[stem] = {
      figure: {
        # None becomes NaN, which `mean` skips.
        system: intervals.mean(
          np.array([x[figure] for x in ones], float), draws
        )
        for system, ones in found.items()
      }
      for figure in FIGURES
    }
  return {
    "loops": len(files),
    "seconds": seconds,
    "beats": {
      str(path): len(known.beats) for path, known in zip(files, annotations)
    },
    "stems": means,
    "each": each,
  }


def repeated(sound: Audio, seconds: float) -> Audio:
  """Repeat a loop to a number of seconds, or cut it."""
  samples = round(seconds * sound.sample_rate)
  times = -(-samples // len(sound.samples))  # rounded up
  return Audio(np.tile(sound.samples, (times, 1))[:samples], sound.sample_rate)


def _figures(
  sound: Audio, known: reference_annotations.ReferenceAnnotations
) -> dict[str, float | None]:
  pulse = rhythm.pulse(audio.mono(sound), sound.sample_rate)
  found = rhythm.agreement(pulse, known.beats, known.grid)
  return {name: finite.or_none(value) for name, value in found.items()}


def table(result: Mapping[str, Any]) -> str:
  """Return the means as text, and the loops without beats."""
  rows = [
    (
      f"{stem} {name}",
      *(intervals.text_of(x) for x in of.values()),
    )
    for stem, figures in result["stems"].items()
    for name, of in figures.items()
  ]
  lines = [
    f"{result['loops']} loops, {result['seconds']:g} s of each",
    text_tables.aligned(rows, ("", *SYSTEMS)),
  ]
  no_beats = [path for path, beats in result["beats"].items() if beats < 2]
  if no_beats:
    lines.append(f"omitted, fewer than two beats: {', '.join(no_beats)}")
  return "\n".join(lines)
