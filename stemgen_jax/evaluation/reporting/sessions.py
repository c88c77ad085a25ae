"""Layer upon layer: what a model plays to a loop, and to what it played.

As on the paper's page: every step is tried a few times, one try is chosen, and
the mix with it is what the next step hears.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tqdm

from stemgen_jax import audio, paths
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation.metrics import harmony, rhythm
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

SESSIONS = {
  "Starting from drums": ("drums", ("bass", "synth_pad", "synth_lead")),
  "Starting from chords": ("chords", ("bass", "drums")),
  "Melody layering": ("chords", ("synth_lead", "synth_lead")),
}
"""Name -> the loop that is heard first, and the instruments that join in."""


@dataclasses.dataclass(frozen=True, eq=False)
class Variation:
  """One try of a step.

  Attributes:
    seed: of the take.
    stem: what was played.
    mix: it with what was heard.
    fit: how well it keeps to what it heard, see `fit`.
    chosen: whether the session goes on from it.
  """

  seed: int
  stem: Audio
  mix: Audio
  fit: float
  chosen: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
  """One instrument joins in.

  Attributes:
    instrument: its category.
    context: what is heard.
    variations: the tries, of which one is chosen.
  """

  instrument: str
  context: Audio
  variations: tuple[Variation, ...]


def play(
  player: StemGen,
  start: Audio,
  instruments: Sequence[str],
  *,
  variations: int,
  settings: Settings,
  seed: int,
  progress: Callable[[], object] = lambda: None,
) -> list[Step]:
  """Plays a session; the try that fits best is chosen at each step.

  Args:
    player: model and codec.
    start: what is heard first.
    instruments: those that join in, one after another.
    variations: tries of each.
    settings: how to sample.
    seed: of the first try of each step.
    progress: called after each try.
  """
  steps, context = [], start
  for instrument in instruments:
    tries = []
    for number in range(variations):
      take = player.generate(
        context, instrument, seed=seed + number, settings=settings
      )
      tries.append((take, fit(take.audio, context, instrument)))
      progress()
    best = int(np.argmax([found for _, found in tries]))
    step = Step(
      instrument,
      context,
      tuple(
        Variation(
          take.seed,
          take.audio,
          audio.mix(context, take.audio)[0],
          found,
          number == best,
        )
        for number, (take, found) in enumerate(tries)
      ),
    )
    steps.append(step)
    context = step.variations[best].mix
  return steps


def sessions(
  player: StemGen, settings: Settings, *, variations: int, seed: int
) -> dict[str, list[Step]]:
  """`SESSIONS`, with those of their instruments that the weights know.

  Args:
    player: model and codec.
    settings: how to sample.
    variations: tries of each step; 0 plays none.
    seed: of the first try of each step.
  """
  known = player.metadata.get("categories")
  played = {}
  steps = sum(len(_known(wanted, known)) for _, wanted in SESSIONS.values())
  with tqdm.tqdm(total=steps * variations, desc="sessions", unit="take") as bar:
    for name, (loop, wanted) in SESSIONS.items():
      instruments = _known(wanted, known)
      if instruments and variations:
        played[name] = play(
          player,
          audio.read(paths.LOOPS / f"{loop}.flac"),
          instruments,
          variations=variations,
          settings=settings,
          seed=seed,
          progress=bar.update,
        )
  return played


def _known(wanted: Sequence[str], known: Sequence[str] | None) -> list[str]:
  return [one for one in wanted if not known or one in known]


def fit(stem: Audio, context: Audio, instrument: str) -> float:
  """Agreement with the beats heard in the context, and with its chroma.

  The mean of `rhythm.grid_agreement` and, of an instrument that has a pitch,
  `harmony.chroma_agreement`; -1 where the stem cannot be heard.
  """
  ours, theirs = audio.mono(stem), audio.mono(context)
  rate = stem.sample_rate
  if not len(onsets := rhythm.onsets(ours, rate)):
    return -1.0
  found = [
    rhythm.grid_agreement(rhythm.beats(theirs, rate), onsets, rhythm.Grid(4))
  ]
  if instrument not in harmony.UNPITCHED:
    found.append(
      harmony.chroma_agreement(
        harmony.chroma(ours, rate), harmony.chroma(theirs, rate)
      )
    )
  found = [value for value in found if np.isfinite(value)]
  return float(np.mean(found)) if found else -1.0
