"""Iterative generation: stems to a loop, then to the loop with those stems.

As on the paper's page: every step generates a few variations, one is chosen,
and the mix with it is the context of the next step.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from stemgen_jax import audio, finite, paths, progress
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import harmony, rhythm
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

SESSIONS = {
  "Starting from drums": ("drums", ("bass", "synth_pad", "synth_lead")),
  "Starting from chords": ("chords", ("bass", "drums")),
  "Melody layering": ("chords", ("synth_lead", "synth_lead")),
}
"""Name -> the loop that is the first context, and the instruments in order."""


@dataclasses.dataclass(frozen=True, eq=False)
class Variation:
  """One take of a step.

  Attributes:
    seed: seed of the take.
    stem: generated stem.
    mix: the stem mixed with its context.
    fit: agreement with the context, see `fit`.
    chosen: whether the next step starts from it.
  """

  seed: int
  stem: Audio
  mix: Audio
  fit: float
  chosen: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
  """One instrument is added.

  Attributes:
    instrument: category of the stem.
    context: audio that the stem is generated to.
    variations: takes, of which one is chosen.
  """

  instrument: str
  context: Audio
  variations: tuple[Variation, ...]


def session(
  engine: StemGen,
  start: Audio,
  instruments: Sequence[str],
  *,
  variations: int,
  settings: Settings,
  seed: int,
  on_take: Callable[[], object] = lambda: None,
) -> list[Step]:
  """Generate a session; each step chooses the variation with the best fit.

  Args:
    engine: model and codec.
    start: the first context.
    instruments: instruments to add, in order.
    variations: takes of each step.
    settings: how to sample.
    seed: seed of the first take of each step.
    on_take: called after each take.
  """
  steps, context = [], start
  for instrument in instruments:
    takes = []
    for number in range(variations):
      take = engine.generate(
        context, instrument, seed=seed + number, settings=settings
      )
      takes.append((take, fit(take.audio, context, instrument)))
      on_take()
    # The first of equal fits.
    best = int(np.argmax([found for _, found in takes]))
    step = Step(
      instrument,
      context,
      tuple(
        Variation(
          take.seed,
          take.audio,
          # The mix may be attenuated to avoid clipping.
          audio.mix(context, take.audio)[0],
          found,
          number == best,
        )
        for number, (take, found) in enumerate(takes)
      ),
    )
    steps.append(step)
    # Later instruments follow the chosen stem as well.
    context = step.variations[best].mix
  return steps


def sessions(
  engine: StemGen, settings: Settings, *, variations: int, seed: int
) -> dict[str, list[Step]]:
  """Generate `SESSIONS` with the instruments that the weights were trained on.

  Args:
    engine: model and codec.
    settings: how to sample.
    variations: takes of each step; 0 generates no sessions.
    seed: seed of the first take of each step.
  """
  known = engine.metadata.get("categories")
  found = {}
  # Count first, for the time left of the progress bar.
  steps = sum(len(_known(wanted, known)) for _, wanted in SESSIONS.values())
  with progress.bar(
    total=steps * variations, desc="sessions", unit="take"
  ) as bar:
    for name, (loop, wanted) in SESSIONS.items():
      instruments = _known(wanted, known)
      if instruments and variations:
        found[name] = session(
          engine,
          audio.read(paths.LOOPS / f"{loop}.flac"),
          instruments,
          variations=variations,
          settings=settings,
          seed=seed,
          on_take=bar.update,
        )
  return found


def _known(wanted: Sequence[str], known: Sequence[str] | None) -> list[str]:
  # Weights that do not state their categories allow all.
  return [one for one in wanted if not known or one in known]


def fit(stem: Audio, context: Audio, instrument: str) -> float:
  """Measure agreement with the context's estimated beats and its chroma.

  The mean of `rhythm.grid_agreement` and, for a pitched instrument,
  `harmony.chroma_agreement`; -1 for a stem without onsets.
  """
  ours, theirs = Features(stem), Features(context)
  if not len(onsets := ours.pulse.onsets):
    return -1.0
  found = [
    # Loops have no annotations: estimate the beats, assume sixteenths.
    rhythm.grid_agreement(theirs.pulse.beats, onsets, rhythm.Grid(4))
  ]
  if instrument not in harmony.UNPITCHED:
    found.append(harmony.chroma_agreement(ours.chroma, theirs.chroma))
  # Contexts without beats or notes have no agreement.
  mean = finite.mean(found)
  return mean if np.isfinite(mean) else -1.0
