"""Run the command that builds a song layer by layer."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax import audio, categories, progress, text_tables
from stemgen_jax.cli import next_steps, takes
from stemgen_jax.cli.flags import settings
from stemgen_jax.cli.flags.required import required
from stemgen_jax.generation import exported
from stemgen_jax.sampling import Settings
from stemgen_jax.session import plan as plan_lib
from stemgen_jax.session import store
from stemgen_jax.session.ranking import ranked
from stemgen_jax.session.session import Session
from stemgen_jax.session.song import Clip, Song

if TYPE_CHECKING:
  from stemgen_jax.generation.stemgen import StemGen

_OF_NEW = ("context", "seconds", "loop")
# Flag -> those without one of which it has no effect.
_WITH = {
  "takes": ("add",),
  "keep_best": ("add",),
  "genre": ("add",),
  "role": ("add",),
  "share": ("vary",),
  "regions": ("regenerate",),
  "gain_db": ("layer",),
  "pan": ("layer",),
  "mute": ("layer",),
  "solo": ("layer",),
  "bpm": ("export",),
  "overwrite": ("export",),
}
_EDITED = ("add", "vary", "regenerate")
_GENERATING = ("add", "vary", "regenerate", "refresh", "extend", "plan")


def run(values: flags.FlagValues) -> None:
  """Do the operations of the flags, in the order that `--help` lists them.

  Raises:
    ValueError, OSError: a flag is invalid, or a file cannot be read or written;
      what was done before stays in the session.
  """
  folder = pathlib.Path(required(values, "session", "my_song"))
  if folder.is_file():
    raise NotADirectoryError(
      f"{folder} is a file: expected the folder of a session, as stemgen-jax "
      f"layer my_song {folder}"
    )
  if values.context:
    audio.check_file(values.context)  # before the flags that follow it
  _check(values)
  how = settings.parse(values) if _given(values, *_settings()) else None
  plan = _plan(values)
  generating = _given(values, *_GENERATING)
  new: list[Clip] = []
  if generating:
    takes.check_weights(values)
  with (
    takes.warnings_shown(),
    contextlib.closing(_open(values, folder, plan)) as session,
  ):
    if generating:
      model = takes.load(values)[0]
      new = _generate(values, session, model, how, plan)
    _change(values, session)
    print(table(session))
    if new or values.keep is not None:
      print(f"next: {_next(values, session.song, new)}")
    if values.export is not None:
      from stemgen_jax.session.export import export

      written = export(
        session, values.export, bpm=values.bpm, overwrite=values.overwrite
      )
      print("\n".join(f"wrote {path}" for path in written))
      if left := session.song.undecided:
        print(f"not exported: {', '.join(left)} (no kept take)")


def table(session: Session) -> str:
  """Return the layers of a session and their takes as a table."""
  rows: list[tuple[str, ...]] = []
  for layer in reversed(session.song.layers):  # the latest on top
    mixer = [f"{layer.gain_db:+.1f} dB"] if layer.gain_db else []
    mixer += [f"pan {layer.pan:+.2f}"] if layer.pan else []
    mixer += [name for name in ("mute", "solo") if getattr(layer, name)]
    stale = session.song.is_stale(layer)
    for clip in layer.clips:
      kept = clip.number == layer.accepted
      notes = (
        [*mixer, *([f"stale: --refresh={layer.name}"] if stale else [])]
        if kept
        else []
      )
      fit = "" if clip.fit is None else f"{clip.fit:.2f}"
      rows.append(
        (
          layer.name,
          str(clip.number),
          "kept" if kept else "",
          clip.name,
          fit,
          ", ".join([*notes, *([clip.origin] if clip.origin else [])]),
        )
      )
  if not rows:
    return "no layers"
  names = ("layer", "take", "kept", "what", "fit", "notes")
  return text_tables.aligned(rows, names)


def _check(values: flags.FlagValues) -> None:
  """Raise ValueError for flags that would have no effect."""
  for name, owners in _WITH.items():
    if values[name].present and not _given(values, *owners):
      raise ValueError(f"--{name}: expected with --{' or --'.join(owners)}")
  for name in _settings():
    if values[name].present and not _given(values, *_EDITED, "plan"):
      raise ValueError(
        f"--{name}: expected with --add, --vary, --regenerate or --plan; "
        "--refresh and --extend have the settings of the take"
      )
  if values["seed"].present and not _given(values, *_EDITED):
    raise ValueError(f"--seed: expected with --{' or --'.join(_EDITED)}")
  if values.layer and not _given(
    values, "add", "gain_db", "pan", "mute", "solo"
  ):
    raise ValueError(
      f"--layer={values.layer}: expected with --add, --gain_db, --pan, --mute "
      "or --solo"
    )
  if not 1 <= values.takes <= plan_lib.MOST_TAKES:
    raise ValueError(
      f"--takes={values.takes}: expected 1 to {plan_lib.MOST_TAKES}"
    )
  if values.add:
    known = exported.conditions(values.weights)
    # For weights that are not here yet, either is possible.
    if known is not None or values.add not in categories.ROLES:
      categories.parse_kind(values.add, known or ())
  if values.regenerate is not None and not values.regions:
    raise ValueError(
      "--regenerate: expected with --regions, such as --regions=1.5-4"
    )


def _plan(values: flags.FlagValues) -> plan_lib.Plan | None:
  if values.plan is None:
    return None
  if _given(values, "add", *_OF_NEW):
    raise ValueError("--plan: expected without --add and --context")
  return plan_lib.read(values.plan)


def _open(
  values: flags.FlagValues, folder: pathlib.Path, plan: plan_lib.Plan | None
) -> Session:
  if plan is not None:
    return plan_lib.start(plan, folder)
  if store.exists(folder):
    for name in _OF_NEW:
      if values[name].present:
        raise ValueError(
          f"--{name}: {folder} has a session already; --add_audio=FILE adds a "
          "layer to it, another --session starts a new one"
        )
    return Session.open(folder)
  if not values.context and values.seconds is None:
    raise ValueError(
      f"{folder}: no session here; start one with --context=FILE, or from "
      "nothing with --seconds=N"
    )
  return Session.create(
    folder, values.context or None, seconds=values.seconds, loop=values.loop
  )


def _generate(
  values: flags.FlagValues,
  session: Session,
  model: "StemGen",
  how: Settings | None,
  plan: plan_lib.Plan | None,
) -> list[Clip]:
  """Do the operations that need a model; return the new takes."""
  new: list[Clip] = []
  with progress.Steps(delay=0.0) as steps:

    def show(clip: Clip) -> None:
      new.append(clip)
      progress.write(f"take {clip.number}: {clip.name}, {clip.elapsed:.1f} s")

    more: dict[str, Any] = {"settings": how, "progress": steps}
    if plan is not None:
      plan_lib.run(plan, session, model, on_clip=show, **more)
    if values.add:
      clips = session.generate(
        model,
        values.add,
        layer=values.layer or "",
        takes=values.takes,
        seed=values.seed,
        genre=values.genre,
        role=values.role,
        on_clip=show,
        **more,
      )
      if values.keep_best:
        session.accept(clips[0].number)
    more["seed"] = values.seed

    def own(clip: int) -> dict[str, Any]:
      # Flags of settings differ from those of the take.
      take = session.take(clip).settings if how else None
      return more | {"settings": take and settings.parse(values, take)}

    if (clip := values.vary) is not None:
      show(session.vary(model, clip, share=values.share, **own(clip)))
    if (clip := values.regenerate) is not None:
      show(session.regenerate(model, clip, values.regions, **own(clip)))
    if values.refresh is not None:
      show(session.refresh(model, values.refresh, progress=steps))
    if values.extend is not None:
      session.extend(model, values.extend, progress=steps)
  return new


def _next(values: flags.FlagValues, song: Song, new: list[Clip]) -> str:
  """Return a command that keeps a new take, refreshes a stale one, ..."""
  words = ["layer", values.session]
  model = next_steps.model_flags(values)
  for layer in song.layers:
    fresh = [x for x in new if x in layer.clips and x.number != layer.accepted]
    # Where --add or a plan has kept a take, the others are no better.
    if fresh and (layer.accepted is None or not _given(values, "add", "plan")):
      return next_steps.command([*words, f"--keep={ranked(fresh)[0].number}"])
  for layer in song.layers:
    if song.is_stale(layer):
      return next_steps.command([*words, f"--refresh={layer.name}", *model])
  have = [layer.category for layer in song.layers]
  left = [x for x in exported.kinds(values.weights) if x not in have]
  if not left:
    return next_steps.command([*words, f"--export={values.session}_files"])
  return next_steps.command([*words, f"--add={left[0]}", *model])


def _change(values: flags.FlagValues, session: Session) -> None:
  if values.add_audio:
    session.add_audio(values.add_audio)
  if values.keep is not None:
    session.accept(values.keep)
  if values.discard is not None:
    session.change(lambda song: song.discarded(values.discard))
  if values.remove is not None:
    session.change(lambda song: song.without_layer(values.remove))
  mixer = {name: values[name].value for name in ("gain_db", "pan")}
  mixer |= {name: values[name].value for name in ("mute", "solo")}
  if any(value is not None for value in mixer.values()):
    session.change(lambda song: song.adjusted(values.layer, **mixer))
  if values.undo:
    session.undo()
  if values.redo:
    session.redo()


def _given(values: flags.FlagValues, *names: str) -> bool:
  return any(values[name].present for name in names)


def _settings() -> Iterator[str]:
  yield from ("preset", "steps")
  yield from (f"settings.{name}" for name in settings.names())
