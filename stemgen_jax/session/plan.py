"""Plans: a session as a table of steps, in a YAML file.

As on StemGen's demo page: each step adds an instrument, makes some variations
of it, and keeps one, which is part of the context of the next step.

  context: drums            # a loop of the package, or a file
  seed: 3
  steps:
    - {add: bass, takes: 3}             # keep the one that fits best
    - {add: piano, takes: 2, keep: 2}   # keep the second
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable

from stemgen_jax import categories, disk, paths, recipes
from stemgen_jax.generation.request import Progress
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings
from stemgen_jax.session import store
from stemgen_jax.session.session import Session
from stemgen_jax.session.takes import OnClip

MOST_TAKES = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
  """One layer to add.

  Attributes:
    add: instrument category, or a name that musicians use for it; a role for
      weights without instruments.
    takes: number of variations.
    keep: the variation to keep, 1 for the first; None for that which fits best.
    genre, role: further conditions.
  """

  add: str
  takes: int = 1
  keep: int | None = None
  genre: str = ""
  role: str = ""

  def validate(self) -> None:
    """Raise ValueError for an unknown instrument or a number out of range."""
    if self.add not in categories.ROLES:
      categories.parse_stem(self.add)
    if not 1 <= self.takes <= MOST_TAKES:
      raise ValueError(f"takes {self.takes}: expected 1 to {MOST_TAKES}")
    if self.keep is not None and not 1 <= self.keep <= self.takes:
      raise ValueError(
        f"keep {self.keep}: expected 1 to {self.takes}, the number of takes"
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
  """A song as a table of steps.

  Attributes:
    steps: layers to add, in order.
    title: name to show.
    context: the first layer: a loop of the package (drums, chords) or a file;
      "" to start from nothing.
    seconds: length without a context.
    loop: the song is one period of a loop.
    seed: seed of the first variation of each step.
  """

  steps: tuple[Step, ...]
  title: str = ""
  context: str = ""
  seconds: float | None = None
  loop: bool = False
  seed: int = 0

  def validate(self) -> "Plan":
    """Return the plan; raise ValueError if a step is invalid."""
    if not self.steps:
      raise ValueError("no steps: expected a list of `add: INSTRUMENT`")
    for number, step in enumerate(self.steps, 1):
      try:
        step.validate()
      except ValueError as error:
        raise ValueError(f"step {number}: {error}") from error
    return self

  @property
  def first(self) -> str | None:
    """Path of the context."""
    if not self.context:
      return None
    shipped = paths.LOOPS / f"{self.context}.flac"
    return os.fspath(shipped) if shipped.is_file() else self.context


def read(path: str | os.PathLike[str]) -> Plan:
  """Read a plan from a YAML file, or one of the package by its name.

  Raises:
    FileNotFoundError: no such file.
    ValueError: the file is not as documented.
  """
  shipped = paths.PLANS / f"{os.fspath(path)}.yaml"
  path = shipped if shipped.is_file() else pathlib.Path(path)
  if not path.is_file():
    known = ", ".join(sorted(x.stem for x in paths.PLANS.glob("*.yaml")))
    raise FileNotFoundError(
      f"{path}: no such plan; expected a YAML file or one of {known}"
    )
  fields = disk.read_yaml(path, "write it as stemgen_jax/session/README.md")
  try:
    return recipes.build(Plan, fields).validate()
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def start(plan: Plan, folder: str | os.PathLike[str]) -> Session:
  """Start the session of a plan, or open it as a stopped run left it.

  Raises:
    ValueError: the folder has the session of another plan.
  """
  folder = pathlib.Path(folder)
  if not store.exists(folder):
    session = Session.create(
      folder, plan.first, loop=plan.loop, seconds=plan.seconds
    )
  else:
    session = Session.open(folder)
  recipes.check_or_create(folder / "plan.json", recipes.as_json(plan))
  return session


def run(
  plan: Plan,
  session: Session,
  model: StemGen,
  *,
  settings: Settings | None = None,
  progress: Progress = True,
  on_clip: OnClip | None = None,
  on_step: Callable[[int], object] = lambda number: None,
) -> None:
  """Run the steps of a plan that a session does not have yet.

  Args:
    plan: the plan.
    session: its session, see `start`.
    model: model and codec.
    settings, progress: see `StemGen.generate`.
    on_clip: called with each take as soon as it is in the session.
    on_step: called with the number of each step before it, from 0.
  """
  made = [x for x in session.song.layers if x.clips[0].generated]
  for number, step in enumerate(plan.steps):
    if number < len(made) and made[number].clip is not None:
      continue
    if number < len(made):  # its takes were not finished
      name = made[number].name
      session.change(lambda song: song.without_layer(name))  # noqa: B023
    on_step(number)
    clips = session.generate(
      model,
      step.add,
      takes=step.takes,
      seed=plan.seed,
      genre=step.genre,
      role=step.role,
      settings=settings,
      progress=progress,
      on_clip=on_clip,
    )
    in_order = sorted(clips, key=lambda clip: clip.number)
    kept = clips[0] if step.keep is None else in_order[step.keep - 1]
    session.accept(kept.number)
