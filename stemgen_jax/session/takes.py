"""Generate takes for the layers of a session, and keep them in its folder."""

import dataclasses
from collections.abc import Callable

from stemgen_jax.generation.request import Edit, GenerationRequest
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.generation.take import Take
from stemgen_jax.session import edits, mixing
from stemgen_jax.session.ranking import fit_to, ranked
from stemgen_jax.session.song import Clip, Layer, Part, Song
from stemgen_jax.session.state import Job, State

OnClip = Callable[[Clip], object]
"""Called with each take as soon as it is in the session."""


def generate(
  state: State,
  model: StemGen,
  request: GenerationRequest,
  song: Song,
  layer: str,
  parts: tuple[Part, ...],
  on_clip: OnClip | None = None,
) -> list[Clip]:
  """Generate the takes of a request for a context of parts.

  Args:
    state: state of the session.
    model: model and codec.
    request: the request, without its context.
    song: the song that the request was made for.
    layer: layer of the takes, or "" for a new one.
    parts: clips of the context.
    on_clip: called with each take as soon as it is in the session.

  Returns:
    The takes, those that fit best first.
  """
  context = state.mix(parts)
  request = dataclasses.replace(request, context=context, loop=song.loop)
  made = model.run(request.validate())
  job = Job(layer, song.samples)
  clips = []
  fit = fit_to(context)
  with mixing.silence_expected(parts):
    for take in made:
      clips.append(_write(state, take, parts, fit(take)))
      state.add(clips[-1], take.kind, job)
      if on_clip:
        on_clip(clips[-1])
  return ranked(clips)


def edit(
  state: State,
  model: StemGen,
  number: int,
  edit_of: Callable[[Take], Edit],
  request: GenerationRequest,
) -> Clip:
  """Edit a take, as a further take with the context of the first.

  Args:
    state: state of the session.
    model: model and codec.
    number: number of its clip.
    edit_of: function of the take that returns the edit.
    request: the request, without its edit; without seeds it gets one that the
      layer has not had.
  """
  song = state.song
  layer, old = song.find(number)
  change = edit_of(state.files.take(old))
  seeds = request.seeds or [layer.unused_seed]
  request = dataclasses.replace(request, edit=change, seeds=seeds)
  with mixing.silence_expected(old.context):
    [take] = model.run(request.validate())
  fit = fit_to(state.mix(old.context))(take)
  origin = edits.described(change, number)
  new = _write(state, take, old.context, fit, origin)
  state.add(new, layer.category, Job(layer.name, song.samples))
  return new


def add(state: State, take: Take, origin: str) -> Layer:
  """Add a take from elsewhere as a layer, see `Session.add_take`."""
  song, sound = state.song, take.audio
  found = (len(sound.samples), sound.sample_rate, sound.channels)
  if found != (song.samples, song.sample_rate, song.channels):
    raise ValueError(
      f"{take.kind}, seed {take.seed}: {sound.seconds:.2f} s at "
      f"{sound.sample_rate} Hz; expected the length and format of the song"
    )
  parts = song.parts()
  clip = _write(state, take, parts, fit_to(state.mix(parts))(take), origin)
  state.update(
    lambda song: song.with_layer(
      Layer(
        name=song.unused_name(take.kind),
        category=take.kind,
        clips=(clip,),
        accepted=clip.number,
      )
    )
  )
  return state.song.find(clip.number)[0]


def _write(
  state: State,
  take: Take,
  parts: tuple[Part, ...],
  fit: float | None,
  origin: str = "",
) -> Clip:
  return state.write(
    lambda number: state.files.write_take(number, take, parts, fit, origin)
  )
