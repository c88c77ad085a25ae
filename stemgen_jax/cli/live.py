"""Run the command that generates stems while the music plays."""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax import audio, categories, disk, paths
from stemgen_jax.audio import Audio, tempo
from stemgen_jax.cli import music, performance, takes
from stemgen_jax.cli.flags import settings
from stemgen_jax.cli.flags.required import required
from stemgen_jax.cli.flags.takes import BITS
from stemgen_jax.cli.performance import PIPE, Plan
from stemgen_jax.generation import exported
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.live import beats, commands, link
from stemgen_jax.live.grid import USUAL_BPM, Grid
from stemgen_jax.live.options import Change, Options
from stemgen_jax.live.request import Controls, Generated, Generator
from stemgen_jax.sampling.settings import SEEDS

if TYPE_CHECKING:
  from stemgen_jax.generation.stemgen import StemGen

_NOT_OF_LOOPS = ("bars", "first_beat", "follow")
"""Flags that a loop, which is one chunk from bar 1, leaves without effect."""
_MOST_GAIN_DB = 120.0
_WITH = {
  "repeats": "loop",
  "change_every": "loop",
  "first_beat": "bpm",
  "count_in": "device",
}


def run(values: flags.FlagValues) -> None:
  """Play along with a file, a pipe or a sound card.

  Raises:
    ValueError, OSError: a flag is invalid, or a file cannot be read or written.
  """
  with contextlib.ExitStack() as stack:
    if values.out == PIPE:  # standard output is for samples
      stack.enter_context(contextlib.redirect_stdout(sys.stderr))
    if not values["stem"].present and values.weights.startswith(paths.HUB):
      takes.check_weights(values)  # the default depends on their conditions
    plan = _checked(values)
    how = settings.parse(values)
    takes.check_weights(values)
    requests = list(_requests(plan))
    for request in requests:
      takes.for_weights(values, request)
    stemgen = takes.load(values)[0]
    with takes.flags_in_errors(values):
      for request in requests:
        request.for_weights(stemgen.config.conditions, values.weights)
    plan = plan._replace(conditions=stemgen.config.conditions)
    _warn(plan, stemgen)
    generator, rehearsed = _generator(values, plan, stemgen, how)
    figures, why = performance.play(values, plan, generator, rehearsed)
    # The file is complete now.
    if plan.out is not None:
      print(f"wrote {plan.out}")
    print(figures.line(generator.dtype, timed=not values.untimed))
    if why:
      raise OSError(why)


def _checked(values: flags.FlagValues) -> Plan:
  """Check all flags but those of the model, and read the context."""
  for name, owner in _WITH.items():
    if values[name].present and not values[owner].value:
      raise ValueError(f"--{name}: expected with --{owner}")
  for name in _NOT_OF_LOOPS:
    if values.loop and values[name].present:
      raise ValueError(f"--{name}: expected without --loop, which is one chunk")
  if values.beats_per_bar < 1:
    raise ValueError(
      f"--beats_per_bar={values.beats_per_bar}: expected 1 or more"
    )
  if not abs(values.gain_db) <= _MOST_GAIN_DB:  # also NaN
    raise ValueError(
      f"--gain_db={values.gain_db:g}: expected "
      f"{-_MOST_GAIN_DB:g} to {_MOST_GAIN_DB:g}"
    )
  if (values.context is None) == (values.device is None):
    raise ValueError(
      "give either --context=FILE, or --device=default for a sound card"
    )
  if values.device is not None:
    performance.sound_cards()  # for its errors
  if values.link:
    _check_link(values)
  if values.context not in (None, PIPE):
    for name in ("sample_rate", "channels"):
      if values[name].present:
        raise ValueError(
          f"--{name}: expected with --context=- or --device; a file has its own"
        )
  if values.untimed and (values.realtime or values.context in (None, PIPE)):
    raise ValueError(
      "--untimed: expected with --context=FILE, not in real time"
    )
  layers = _layers(values)
  script = []
  if values.script:
    known = exported.conditions(values.weights)
    script = commands.read_script(values.script, layers, known)
  out = _out(values)
  sound, rate, channels = None, values.sample_rate, values.channels
  if values.context in (None, PIPE):
    if values.loop:
      raise ValueError("--loop: expected with --context=FILE")
    if not (1 <= channels <= 32 and 1000 <= rate <= 768_000):
      raise ValueError(
        f"--sample_rate={rate} --channels={channels}: expected 1000 to 768000 "
        "Hz, 1 to 32 channels"
      )
  else:
    sound = audio.read(values.context, longest=audio.LONGEST)
    audio.check_seconds(sound.seconds, values.context)
    rate, channels = sound.sample_rate, sound.channels
    if out is not None:
      audio.check_format(out, sound)
  grid = _grid(values, sound, rate)
  bars = values.bars
  if values.loop:
    assert sound is not None
    assert grid is not None
    bars = grid.whole_bars(len(sound.samples))
  with takes.flags_in_errors(values):
    options = Options.at_tempo(
      bars,
      values.slack,
      grid,
      values.beats_per_bar,
      hold=values.loop,
      cover=values.cover,
      # The tempo of Ableton Link is not that of the music.
      watch=0 if values.link else 4,
      follow=values.follow,
    )
  enter = {}
  if values.loop:
    # One after the other, each after the loop has sounded once more.
    enter = {name: bars * (i + 1) for i, name in enumerate(layers)}
    script = sorted(
      [*script, *_turns(values, layers, bars)], key=lambda x: x[0]
    )
  session = None
  if values.link:  # last: it is on the network from here on
    session = link.open_session(values.bpm or USUAL_BPM, values.beats_per_bar)
  return Plan(
    sound=sound,
    sample_rate=rate,
    channels=channels,
    layers=layers,
    grid=grid,
    options=options,
    enter=enter,
    script=script,
    out=out,
    session=session,
  )


def _check_link(values: flags.FlagValues) -> None:
  if values.loop or not (values.realtime or values.context in (None, PIPE)):
    raise ValueError(
      "--link: expected with --device, --context=- or --realtime, and without "
      "--loop, which has its own tempo"
    )
  if values["first_beat"].present:
    raise ValueError("--first_beat: expected without --link, which has bars")


def _layers(values: flags.FlagValues) -> dict[str, Controls]:
  """Return a layer for each instrument, or role of weights without them."""
  known = exported.conditions(values.weights) or ()
  named = values["stem"].present or categories.kind_field(known) == "stem"
  flag = "stem" if named else "role"
  given = values.stem if named else values.role
  names = [name.strip() for name in given if name.strip()]
  if (named and not names) or len(set(names)) < len(names):
    raise ValueError(
      f"--{flag}={','.join(given)}: expected "
      f"{'instruments' if named else 'roles'}, each once"
    )
  if not 0 <= values.seed < SEEDS:
    raise ValueError(f"--seed={values.seed}: expected 0 to {SEEDS - 1}")
  genre = categories.parse_genre(values.genre) if values.genre else ""
  roles = [categories.parse_role(x) for x in values.role] or [""]
  plain = Controls(stem="", genre=genre, seed=values.seed)
  if not named:
    return {
      categories.kind("", role, genre): dataclasses.replace(plain, role=role)
      for role in roles
    }
  if len(roles) > 1:
    raise ValueError(
      f"--role={','.join(values.role)}: expected one for all instruments"
    )
  return {
    name: dataclasses.replace(
      plain, stem=categories.parse_stem(name), role=roles[0]
    )
    for name in names
  }


def _out(values: flags.FlagValues) -> pathlib.Path | None:
  if values.device is not None and not values.out:
    return None
  out = required(values, "out", "bass.wav")
  if out == PIPE:
    return None
  path = disk.check_writable(out, values.overwrite, audio.WRITABLE)
  audio.check_bits(path, BITS[values.bits])
  if (
    values.context and path.resolve() == pathlib.Path(values.context).resolve()
  ):
    raise ValueError(f"--out={out}: it is the context; choose another name")
  return path


def _grid(
  values: flags.FlagValues, sound: Audio | None, rate: int
) -> Grid | None:
  """Return the bar lines of the flags, or None to detect them in a stream."""
  bpm = values.bpm
  if values.loop:
    assert sound is not None
    bpm = music.bpm_of(sound, values.context) if bpm is None else bpm
    try:
      return Grid.of_loop(len(sound.samples), rate, bpm, values.beats_per_bar)
    except ValueError as error:
      raise ValueError(
        f"{values.context}: {error}; cut it, or give its --bpm"
      ) from None
  if bpm is None or values.link:
    if sound is not None and not values.link:
      _check_clear(sound, values.context)
    return None
  if not values.first_beat >= 0:
    raise ValueError(f"--first_beat={values.first_beat}: expected 0 or more")
  with takes.flags_in_errors(values):
    return Grid(
      bpm=bpm,
      sample_rate=rate,
      beats_per_bar=values.beats_per_bar,
      origin=round(values.first_beat * rate),
    )


def _check_clear(sound: Audio, name: str) -> None:
  """Raise ValueError unless the engine will detect a tempo at first."""
  first = sound.samples[: round(beats.SHORTEST * sound.sample_rate)]
  found = tempo.of(Audio(audio.fold_down(first), sound.sample_rate))
  if found.confidence < tempo.CLEAR:
    raise ValueError(
      f"{name}: the tempo of its first {beats.SHORTEST:g} s is unclear; "
      "expected --bpm, such as --bpm=120"
    )


def _turns(
  values: flags.FlagValues, layers: dict[str, Controls], bars: int
) -> Iterator[tuple[int, Change]]:
  """Yield the changes of --change_every, a layer after the other."""
  if values.repeats < 1 or values.change_every < 0:
    raise ValueError(
      f"--repeats={values.repeats} --change_every={values.change_every}: "
      "expected 1 or more, and 0 or more"
    )
  names = list(layers)
  if not values.change_every:
    return
  first = len(names) + values.change_every
  repeats = range(first, values.repeats, values.change_every)
  for turn, repeat in enumerate(repeats):
    yield repeat * bars, Change(names[turn % len(names)], again=True)


def _requests(plan: Plan) -> Iterator[GenerationRequest]:
  """Yield requests with the conditions of the layers and of the script."""
  changed = [change.controls for _, change in plan.script]
  for given in (*map(vars, plan.layers.values()), *changed):
    names = ("stem", "genre", "role")
    stem, genre, role = (given.get(name, "") for name in names)
    yield GenerationRequest(stem=stem, genre=genre, role=role)


def _warn(plan: Plan, stemgen: "StemGen") -> None:
  trained = stemgen.metadata.get("categories", categories.CATEGORIES)
  stems = {layer.stem for layer in plan.layers.values()}
  for stem in sorted(stems - {""}):
    if untrained := categories.untrained(stem, trained):
      print(f"warning: {untrained}", file=sys.stderr)


def _generator(
  values: flags.FlagValues, plan: Plan, stemgen: "StemGen", how: Any
) -> tuple[Generator, Generated]:
  """Return what generates chunks, compiled, and the times of one."""
  from stemgen_jax.live import generators

  plain = next(iter(plan.layers.values()))
  generator, notes = generators.make(
    stemgen,
    how,
    plan.options,
    plain=plain,
    loop=plan.sound if values.loop else None,
    grid=plan.grid,
    beats_per_bar=values.beats_per_bar,
    sample_rate=plan.sample_rate,
    channels=plan.channels,
    future=values.future,
    bpm=plan.session.tempo if plan.session else USUAL_BPM,
  )
  for note in notes:
    print(f"warning: {note}", file=sys.stderr)
  print(f"rehearsing chunks of {generator.seconds:.1f} s", flush=True)
  rehearsed = generator.rehearse(plain)
  print(
    f"context offset: -{plan.options.slack_beats:g} beats\n"
    f"rehearsed: {rehearsed.sampling + rehearsed.other:.2f} s for a chunk of "
    f"{generator.passes[0]} passes; up to {generator.passes[-1]}"
  )
  return generator, rehearsed
