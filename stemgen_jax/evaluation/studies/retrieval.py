"""Which of many recordings was a stem generated to?

Stems are generated to every recording and compared with all of them, by
onsets and by pitch. No beats, chords or real stems are needed, and a regular
stem gains nothing: it resembles all recordings alike. The rank of the stem's
own recording counts.
"""

import fnmatch
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stemgen_jax import (
  audio,
  categories,
  coherence,
  disk,
  paths,
  text_tables,
)
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import (
  harmony,
  intervals,
  notes,
  similarity,
)
from stemgen_jax.evaluation.studies.loops import generate, repeated
from stemgen_jax.evaluation.subject import Subject
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

STEMS = ("drums", "bass", "synth_lead", "piano")
SYSTEMS = {
  "generated": "generated to the recording",
  "random": "generated to the next recording",
  "copy": "the recording itself",
}
FIGURES = ("top_1", "mrr")
_FEWEST = 2
_SILENCE = -1e3  # coherence of a silent stem or context


def run(subject: Subject) -> dict[str, Any]:
  """Rank the recordings that match --files."""
  options = subject.options
  return retrieval(
    subject.engine,
    disk.matching(options.files or ""),
    subject.out / "stems",
    seconds=options.seconds,
    settings=subject.settings,
    seed=options.seed,
  )


def pitched_patterns() -> list[str]:
  """Return the patterns of names of recordings with pitch."""
  lines = paths.PITCHED_RECORDINGS.read_text("utf-8").splitlines()
  return [x.strip() for x in lines if x.strip() and not x.startswith("#")]


def retrieval(
  engine: StemGen,
  files: Sequence[pathlib.Path],
  out: pathlib.Path,
  *,
  stems: Sequence[str] = STEMS,
  seconds: float = 10.0,
  settings: Settings | None = None,
  seed: int = 0,
) -> dict[str, Any]:
  """Generate stems to recordings and rank the recordings by likeness.

  Args:
    engine: model and codec.
    files: at least two recordings.
    out: folder for the audio, made if necessary: 000-NAME-STEM.wav, which
      replace those of an earlier run.
    stems: instruments that are generated to each recording.
    seconds: length that recordings are repeated or cut to.
    settings: how to sample.
    seed: recording i is generated to with seed + i; also of the intervals.

  Returns:
    A dict for JSON: `recordings`, those that are `pitched`, `chance` of
    top-1; by stem, "onsets", "chroma" or "coherence", system and figure of
    `FIGURES` the `mean` with its 95 % interval over the recordings; `each`, the
    ranks.
    Pitch has only the recordings on the list, and no drums.

  Raises:
    ValueError: there are too few files, or one is not audio.
    OSError: a file is missing, or `out` cannot be written.
  """
  if len(files) < _FEWEST:
    raise ValueError(
      f"{len(files)} recordings: expected at least {_FEWEST}, as each is found "
      "among the others"
    )
  # Decode all files first: an unreadable one is an early error.
  sounds = [repeated(audio.read(path), seconds) for path in files]
  notes.check()
  contexts = [Features(sound) for sound in sounds]
  patterns = pitched_patterns()
  listed = np.array(
    [any(fnmatch.fnmatch(x.name, p) for p in patterns) for x in files]
  )
  everything = np.ones(len(files), bool)
  copied = _matrices(contexts, contexts, listed)
  out.mkdir(parents=True, exist_ok=True)
  tables: dict[str, Any] = {}
  each: dict[str, Any] = {}
  named = {
    f"{n:03d}-{x.stem}": sound
    for n, (x, sound) in enumerate(zip(files, sounds))
  }
  for stem, takes in generate(engine, named, stems, out, settings, seed):
    pitched = stem not in categories.UNPITCHED
    found = _matrices([Features(x) for x in takes], contexts, listed & pitched)
    tables[stem], each[stem] = {}, {}
    for kind, matrix in found.items():
      counted = listed if kind == "chroma" else everything
      if kind == "chroma" and (not pitched or counted.sum() < _FEWEST):
        continue
      systems = {
        "generated": matrix,
        # Row i is the stem of the next recording.
        "random": np.roll(matrix, -1, axis=0),
        "copy": copied[kind],
      }
      ranked = {
        system: similarity.ranks(one, counted)
        for system, one in systems.items()
      }
      tables[stem][kind] = {
        system: _figures(ranks, seed) for system, ranks in ranked.items()
      }
      each[stem][kind] = {
        str(files[place]): float(rank)
        for place, rank in zip(
          np.flatnonzero(counted).tolist(), ranked["generated"]
        )
      }
  return {
    "recordings": len(files),
    "pitched": [str(path) for path, one in zip(files, listed) if one],
    "seconds": seconds,
    "chance": {
      "onsets": 1 / len(files),
      "coherence": 1 / len(files),
      "chroma": 1 / max(1, int(listed.sum())),
    },
    "stems": tables,
    "each": each,
  }


def _matrices(
  stems: Sequence[Features], contexts: Sequence[Features], listed: np.ndarray
) -> dict[str, np.ndarray]:
  """Return [stems, contexts] by kind; chroma is 0 where not listed."""

  def matrix(compare: Callable[[Features, Features], float]) -> np.ndarray:
    return np.array([[compare(x, y) for y in contexts] for x in stems])

  chroma = np.zeros((len(stems), len(contexts)))
  for i, j in zip(*np.nonzero(np.outer(listed, listed))):
    agreement = harmony.chroma_agreement(stems[i].chroma, contexts[j].chroma)
    chroma[i, j] = np.nan_to_num(agreement)  # NaN for a silent context
  return {
    "onsets": matrix(
      lambda x, y: similarity.onset_correlation(x.strength, y.strength)
    ),
    "chroma": chroma,
    "coherence": matrix(_coherence),
  }


def _coherence(stem: Features, context: Features) -> float:
  score = coherence.compared(context.as_context, stem.as_stem)
  # Finite, for the means of `ranks`; silence fits nothing.
  return max(score, _SILENCE)


def _figures(ranks: np.ndarray, seed: int) -> dict[str, Any]:
  """Return top-1 and the mean reciprocal rank."""
  # Every recording counts as a song of its own.
  draws = intervals.draws(np.arange(len(ranks)), np.random.default_rng(seed))
  return {
    "top_1": intervals.mean((ranks == 1).astype(float), draws),
    "mrr": intervals.mean(1 / ranks, draws),
  }


def table(result: Mapping[str, Any]) -> str:
  """Return the figures as text."""
  rows = [
    (
      f"{stem}, {kind} {figure}",
      *(intervals.text_of(of[x][figure]) for x in SYSTEMS),
    )
    for stem, kinds in result["stems"].items()
    for kind, of in kinds.items()
    for figure in FIGURES
  ]
  chance = result["chance"]
  return "\n".join(
    (
      f"{result['recordings']} recordings, {len(result['pitched'])} on the "
      f"list of pitched ones, {result['seconds']:g} s of each; chance of "
      f"top_1: {chance['onsets']:.2f}, by chroma {chance['chroma']:.2f}",
      text_tables.aligned(rows, ("", *SYSTEMS)),
    )
  )
