"""Lengthen a song: continue its takes to a new end."""

import dataclasses
import functools

from stemgen_jax import audio as audio_lib
from stemgen_jax.generation.request import Extend, GenerationRequest, Progress
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.session import edits, mixing
from stemgen_jax.session.song import Clip, Song
from stemgen_jax.session.state import State


def check(song: Song, seconds: float) -> Song:
  """Return the song with a new length and its old layers.

  Raises:
    ValueError: the song is a loop, or it is not shorter.
  """
  if song.loop:
    raise ValueError("the song is a loop, which has no end to extend")
  audio_lib.check_seconds(seconds, f"seconds={seconds:g}")
  samples = round(seconds * song.sample_rate)
  if samples <= song.samples:
    raise ValueError(
      f"seconds={seconds:g}: expected more than {song.seconds:.2f}, the length "
      "of the song"
    )
  return dataclasses.replace(song, samples=samples)


def extend(
  state: State, model: StemGen, seconds: float, progress: Progress
) -> None:
  """Lengthen the song of a session, see `Session.extend`."""
  before = state.song
  new = _lengthened(check(before, seconds), state, model, progress)

  def lengthened(song: Song) -> Song:
    # Mixer settings may be others by now.
    if (song.samples, _accepted(song)) != (before.samples, _accepted(before)):
      raise ValueError("the song was changed meanwhile: extend it again")
    layers = [
      dataclasses.replace(layer, clips=(clip,), accepted=clip.number)
      for layer in song.layers
      if layer.clip
      for clip in [new[layer.clip.number]]
    ]
    return dataclasses.replace(check(song, seconds), layers=tuple(layers))

  state.update(lengthened)


def _accepted(song: Song) -> list[Clip]:
  """Return the accepted clips; a take comes after those of its context."""
  clips = [layer.clip for layer in song.layers if layer.clip]
  return sorted(clips, key=lambda clip: clip.number)


def _lengthened(
  song: Song, state: State, model: StemGen, progress: Progress
) -> dict[int, Clip]:
  """Return new clips by the numbers of the accepted, shorter ones.

  The user's own audio is padded with silence.

  Args:
    song: see `check`.
    state: state of the session.
    model: model and codec.
    progress: see `StemGen.generate`.
  """
  files, clips = state.files, state.clips()
  new: dict[int, Clip] = {}
  for clip in _accepted(song):
    if not clip.generated:
      sound, name = files.read(clip, song.samples), clip.name
      written = functools.partial(files.write_own, sound=sound, name=name)
      new[clip.number] = state.write(written)
      continue
    edit = Extend(files.take(clip))
    request = GenerationRequest(
      edit=edit,
      context=files.mix(clip.context, clips | new, song),
      progress=progress,
    )
    with mixing.silence_expected(clip.context):
      [take] = model.run(request.validate())
    parts = tuple(
      dataclasses.replace(part, clip=new[part.clip].number)
      for part in clip.context
      if part.clip in new
    )
    written = functools.partial(
      files.write_take,
      take=take,
      context=parts,
      fit=clip.fit,
      origin=edits.described(edit, clip.number),
    )
    new[clip.number] = state.write(written)
  return new
