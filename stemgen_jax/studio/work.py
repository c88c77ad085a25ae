"""Do the work of jobs: takes for a session, with progress and time left."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, cast

from stemgen_jax import categories
from stemgen_jax.generation import compilation
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.generation.take import Take
from stemgen_jax.sampling import settings as settings_lib
from stemgen_jax.sampling.settings import Settings
from stemgen_jax.session import Clip, Session, longer
from stemgen_jax.studio import bodies
from stemgen_jax.studio.errors import MissingError
from stemgen_jax.studio.jobs import Job, Running
from stemgen_jax.studio.loading import Loading

_MOST_LEVELS, _MOST_STEPS = 16, 1000


def check(
  request: object, session: Session, conditions: Collection[str]
) -> str:
  """Return the layer that a job is for, "" for a new one.

  Args:
    request: body of the request.
    session: session of its takes.
    conditions: names of the conditions of the model.

  Raises:
    MissingError: the session has no such layer or take.
    ValueError: the job would fail.
  """
  match request:
    case bodies.Generate():
      category = categories.parse_kind(request.category, conditions)
      if request.genre:
        categories.parse_genre(request.genre)
      if request.role:
        categories.parse_role(request.role)
      settings_of(request, conditions=conditions)
      if request.layer:
        layer = found_layer(session, request.layer)
        if layer.category != category:
          raise ValueError(
            f"layer {layer.name!r} is not for {category}: leave it out to add "
            "another one"
          )
      return request.layer
    case bodies.Vary() | bodies.Regenerate():
      layer, clip = found_clip(session, request.clip)
      settings_of(request, conditions=conditions)
      if not clip.generated:
        raise ValueError(f"take {clip.number} is your own audio")
      for start, end in getattr(request, "regions", ()):
        if not start < min(end, session.song.seconds):
          raise ValueError(
            f"region {start:g} to {end:g} s: expected within "
            f"{session.song.seconds:.2f} s"
          )
      return layer.name
    case bodies.Refresh():
      found_layer(session, request.layer)
      session.song.stale_take(request.layer)
      return request.layer
    case bodies.Extend():
      longer.check(session.song, request.seconds)
  return ""


def found_layer(session: Session, name: str):
  """Return a layer of a session; raise MissingError without one."""
  try:
    return session.song.layer(name)
  except ValueError as error:
    raise MissingError(str(error)) from None


def found_clip(session: Session, number: int):
  """Return a clip of a session, and its layer; MissingError without one."""
  try:
    return session.song.find(number)
  except ValueError as error:
    raise MissingError(str(error)) from None


def settings_of(
  request: object,
  own: Settings | None = None,
  conditions: Collection[str] = ("category",),
) -> Settings | None:
  """Return the settings of a job; None for those of the edited take.

  Args:
    request: body of the request.
    own: settings of the edited take, which those of a request without a preset
      differ from.
    conditions: names of the conditions of the model.

  Raises:
    ValueError: an unknown name, or an invalid value.
  """
  preset = getattr(request, "preset", None)
  changes = dict(getattr(request, "settings", {}))
  if not changes and not preset:
    return None
  found = settings_lib.preset(preset) if preset else own
  found = found or settings_lib.preset("default")
  names = [field.name for field in dataclasses.fields(Settings)]
  for name, value in changes.items():
    if name not in names:
      raise ValueError(
        f"unknown setting {name!r}: expected one of {', '.join(names)}"
      )
    if name == "guidance":
      if not isinstance(value, dict):
        raise ValueError("guidance: expected scales by source")
      guided = _guided(request, conditions)
      for source in value:
        if source not in guided:
          raise ValueError(
            f"guidance of {source!r}: has no effect here; expected "
            f"{', '.join(guided)}"
          )
      scales = {key: _plain(scale) for key, scale in value.items()}
      value = {**found.guidance, **scales}
    else:
      value = _plain(value)
    try:
      found = dataclasses.replace(found, **{name: value})
    except (TypeError, OverflowError) as error:
      raise ValueError(f"{name} {value!r}: expected numbers") from error
  if max(found.steps) > _MOST_STEPS:
    raise ValueError(f"steps {found.steps}: expected at most {_MOST_STEPS}")
  return found


def _guided(request: object, conditions: Collection[str]) -> list[str]:
  """Return the sources whose guidance has an effect on a job."""
  # An edit has the conditions of its take, whatever they are.
  edit = not isinstance(request, bodies.Generate)
  others = [
    name
    for name in ("genre", "role")
    if name in conditions and (edit or getattr(request, name))
  ]
  named = categories.kind_field(conditions)
  # Other conditions without a scale of their own have that of "category".
  kind = [] if named == "stem" else [named]
  return list(dict.fromkeys(["context", "category", *kind, *others]))


def _plain(value: object) -> object:
  """Return a value of JSON as settings have it: a number, a tuple, or text."""
  values = value if isinstance(value, list) else [value]
  plain = all(
    isinstance(x, int | float | str) and not isinstance(x, bool) for x in values
  )
  if not plain or len(values) > _MOST_LEVELS:
    raise ValueError(
      f"setting {str(value)[:100]}: expected a number, a name, or at most "
      f"{_MOST_LEVELS} numbers"
    )
  return tuple(values) if isinstance(value, list) else value


def run(
  running: Running,
  session: Session,
  loading: Loading,
  changed: Callable[[], object],
) -> None:
  """Do the work of a job.

  Args:
    running: the job.
    session: session of its takes.
    loading: the model.
    changed: called after each change of the song.
  """

  def check(stage: str) -> None:
    running.check()
    if stage and running.job.stage != stage:
      running.update(stage=stage)

  request = running.job.request
  runs = 1
  if isinstance(request, bodies.Extend):
    accepted = [layer.clip for layer in session.song.layers if layer.clip]
    runs = max(1, sum(clip.generated for clip in accepted))
  with loading.used(check) as found:
    # Sessions use only `run` and `config` of a model.
    model = cast(StemGen, _Reporting(found, running, runs))
    _run(running, session, model, changed)


def _run(
  running: Running,
  session: Session,
  model: StemGen,
  changed: Callable[[], object],
) -> None:
  request = running.job.request

  def done(clip: Clip) -> None:
    found = [x.name for x in session.song.layers if clip in x.clips]
    layer = found[0] if found else running.job.layer
    clips = dict.fromkeys((*running.job.clips, clip.number))
    running.update(clips=tuple(clips), layer=layer)
    changed()

  match request:
    case bodies.Generate():
      _generate(running, session, model, request, done)
    case bodies.Vary() | bodies.Regenerate():
      _edit(running, session, model, request, done)
    case bodies.Refresh():
      layer = session.song.layer(request.layer)
      job = _begun(running, session, layer.clip.seed if layer.clip else None)
      made = _made(job, session, edited=False)
      if made and not job.clips:
        session.accept(made[-1].number)
        done(made[-1])
      elif not job.clips and session.song.is_stale(layer):  # no other job did
        done(session.refresh(model, request.layer))
    case bodies.Extend():
      song, resumed = session.song, running.job.first > 0
      _begun(running, session, None)
      samples = round(request.seconds * song.sample_rate)
      if not resumed or song.samples < samples:
        session.extend(model, request.seconds)
      changed()


def _begun(running: Running, session: Session, seed: int | None) -> Job:
  """Note, at its first run, where the takes of a job begin.

  Args:
    running: the job; it is resumed if it has a least number of its takes.
    session: session of its takes.
    seed: seed of the first take.
  """
  if not running.job.first:
    layers = session.song.layers
    numbers = [clip.number for layer in layers for clip in layer.clips]
    running.update(seed=seed, first=1 + max(numbers, default=0))
  return running.job


def _made(job: Job, session: Session, *, edited: bool) -> list[Clip]:
  """Return the take that a job made before an interruption, if it did.

  It may not have been noted in `job.clips`.
  """
  return [
    clip
    for layer in session.song.layers
    if layer.name == job.layer
    for clip in layer.clips
    if job.first <= clip.number
    and clip.seed == job.seed
    and bool(clip.origin) == edited
  ]


def _edit(
  running: Running,
  session: Session,
  model: StemGen,
  request: bodies.Vary | bodies.Regenerate,
  done: Callable[[Clip], object],
) -> None:
  seed = request.seed
  if seed is None and not running.job.first:
    seed = session.song.find(request.clip)[0].unused_seed
  job = _begun(running, session, seed)
  if job.clips:
    return
  if made := _made(job, session, edited=True):
    done(made[-1])
    return
  own = None
  if request.settings and not request.preset:
    own = session.take(request.clip).settings
  conditions = model.config.conditions
  more: Any = {
    "seed": job.seed,
    "settings": settings_of(request, own, conditions),
  }
  if isinstance(request, bodies.Vary):
    more |= {"share": request.share, "from_level": request.from_level}
    done(session.vary(model, request.clip, **more))
  else:
    done(session.regenerate(model, request.clip, request.regions, **more))


def _generate(
  running: Running,
  session: Session,
  model: StemGen,
  request: bodies.Generate,
  done: Callable[[Clip], object],
) -> None:
  song, job = session.song, running.job
  seed = request.seed
  if seed is None and not job.first:
    seed = song.layer(request.layer).unused_seed if request.layer else 0
  job = _begun(running, session, seed)
  # The takes of a job that was interrupted, which may not have noted the last.
  conditions = model.config.conditions
  category = categories.parse_kind(request.category, conditions)
  seeds = range(job.seed or 0, (job.seed or 0) + request.takes)
  layers = [
    (layer.name, clips)
    for layer in song.layers
    if layer.category == category
    and (
      clips := [
        clip.number
        for clip in layer.clips
        if clip.number >= job.first and not clip.origin and clip.seed in seeds
      ]
    )
  ]
  layer, clips = layers[-1] if layers else (request.layer, [])
  # Takes are made in the order of their seeds; some may be discarded by now.
  clips = sorted({*job.clips, *clips})
  running.update(clips=tuple(clips), layer=layer)
  if len(clips) >= request.takes:
    return
  session.generate(
    model,
    request.category,
    layer=layer,
    takes=request.takes - len(clips),
    seed=(job.seed or 0) + len(clips),
    genre=request.genre,
    role=request.role,
    settings=settings_of(request, conditions=conditions),
    on_clip=done,
  )


class _Reporting:
  """A model that reports its progress to a job, and stops with it."""

  def __init__(self, model: StemGen, running: Running, runs: int):
    self._model, self._running, self._runs = model, running, runs
    self.config = model.config
    self._done = 0  # runs
    self._began: tuple[float, int] | None = None  # first step of the run

  def run(self, request: GenerationRequest) -> Iterator[Take]:
    """Generate the takes of a request, as `StemGen.run` does."""
    self._running.check()
    cold = compilation.is_cold()
    self._running.update(
      stage="compiling, once per machine" if cold else "preparing"
    )
    self._steps, self._began = 0, None
    request = dataclasses.replace(request, progress=self._advance)
    for take in self._model.run(request):
      self._running.check()
      yield take
    self._done += 1

  def _advance(self, steps: int, total: int) -> None:
    self._running.check()
    now = time.monotonic()
    self._steps += steps
    if self._began is None:
      self._began = now, self._steps
    since, first = self._began
    left = None
    if self._steps > first:
      each = (now - since) / (self._steps - first)
      runs = self._runs - self._done - 1
      left = round(each * (total - self._steps + runs * total), 1)
    self._running.update(
      stage="sampling",
      progress=(self._done + self._steps / total) / self._runs,
      seconds_left=left,
    )
