"""Iterative generation: stems to a loop, then to the loop with those stems.

As on the paper's page: every step generates a few variations, one is chosen,
and the mix with it is the context of the next step. The sessions are the plans
of the package.
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Sequence

from stemgen_jax import audio, categories, progress
from stemgen_jax.audio import Audio
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings
from stemgen_jax.session import Layer, Session, plan

PLANS = ("drums", "chords", "melody")


@dataclasses.dataclass(frozen=True, eq=False)
class Variation:
  """One take of a step.

  Attributes:
    seed: seed of the take.
    stem: generated stem.
    mix: the stem mixed with its context.
    fit: coherence with the context; None if it is unknown.
    chosen: whether the next step starts from it.
  """

  seed: int
  stem: Audio
  mix: Audio
  fit: float | None
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


def sessions(
  engine: StemGen,
  settings: Settings,
  *,
  variations: int,
  seed: int,
  folder: pathlib.Path,
) -> dict[str, list[Step]]:
  """Replay the plans of the package, as far as the weights know instruments.

  Args:
    engine: model and codec.
    settings: how to sample.
    variations: takes of each step; 0 generates no sessions, and so do weights
      without instruments.
    seed: seed of the first take of each step.
    folder: folder of the sessions, which a stopped evaluation resumes.

  Returns:
    The steps by the title of their plan.
  """
  known = engine.metadata.get("categories")
  if categories.kind_field(engine.config.conditions) != "stem":
    variations = 0  # The plans have instruments.
  plans = {
    name: planned
    for name in PLANS
    if variations and (planned := _known(plan.read(name), known, seed))
  }
  total = variations * sum(len(planned.steps) for planned in plans.values())
  found = {}
  # The total is known before, for the time left of the progress bar.
  with progress.bar(total=total, desc="sessions", unit="take") as bar:
    for name, planned in plans.items():
      steps = [
        dataclasses.replace(step, takes=variations) for step in planned.steps
      ]
      planned = dataclasses.replace(planned, steps=tuple(steps))
      with contextlib.closing(_start(planned, folder / name)) as session:
        plan.run(
          planned,
          session,
          engine,
          settings=settings,
          on_clip=lambda _: bar.update(),
        )
        found[planned.title] = steps_of(session)
  return found


def _start(planned: plan.Plan, folder: pathlib.Path) -> Session:
  """Start a plan; wait for a process that shares the evaluation."""
  while True:
    try:
      return plan.start(planned, folder)
    except BlockingIOError:
      time.sleep(1)


def steps_of(session: Session) -> list[Step]:
  """Return the generated layers of a session with all their takes."""
  return [
    _step(session, layer)
    for layer in session.song.layers
    if layer.clips[0].generated
  ]


def _step(session: Session, layer: Layer) -> Step:
  # All takes of a layer have the context of the first.
  context = audio.lowered(session.context(layer.clips[0].number))[0]
  return Step(
    layer.category,
    context,
    tuple(
      Variation(
        clip.seed or 0,
        stem := session.audio(clip.number),
        # The mix may be attenuated to avoid clipping.
        audio.mix(context, stem)[0],
        clip.fit,
        clip.number == layer.accepted,
      )
      for clip in layer.clips
    ),
  )


def _known(
  planned: plan.Plan, known: Sequence[str] | None, seed: int
) -> plan.Plan | None:
  """Return a plan with the steps that weights know, or None without any."""
  steps = tuple(
    step
    for step in planned.steps
    # Weights that do not state their categories allow all.
    if not known or categories.parse_category(step.add) in known
  )
  return dataclasses.replace(planned, steps=steps, seed=seed) if steps else None
