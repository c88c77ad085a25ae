"""Lengthen a song: continue its takes to a new end."""

import dataclasses

from stemgen_jax import audio as audio_lib
from stemgen_jax.generation.request import Extend, GenerationRequest, Progress
from stemgen_jax.generation.stemgen import StemGen
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
  extended = _lengthened(check(before, seconds), state, model, progress)

  def unless_changed(song: Song) -> Song:
    if song is not before:
      raise ValueError("the song was changed meanwhile: extend it again")
    return extended

  state.update(unless_changed)


def _lengthened(
  song: Song, state: State, model: StemGen, progress: Progress
) -> Song:
  """Return a song with new clips of its length for all accepted ones.

  The user's own audio is padded with silence; alternates are left out.

  Args:
    song: see `check`.
    state: state of the session.
    model: model and codec.
    progress: see `StemGen.generate`.
  """
  files, clips = state.files, state.clips()
  accepted = [layer.clip for layer in song.layers if layer.clip]
  new: dict[int, Clip] = {}  # by the number of the shorter clip
  # A take depends on older clips only.
  for clip in sorted(accepted, key=lambda clip: clip.number):
    if not clip.generated:
      sound = files.read(clip, song.samples)
      new[clip.number] = files.write_own(state.next_number(), sound, clip.name)
      continue
    request = GenerationRequest(
      edit=Extend(files.take(clip)),
      context=files.mix(clip.context, clips | new, song),
      progress=progress,
    )
    [take] = model.run(request.validate())
    parts = tuple(
      dataclasses.replace(part, clip=new[part.clip].number)
      for part in clip.context
      if part.clip in new
    )
    number = state.next_number()
    new[clip.number] = files.write_take(number, take, parts, clip.fit)
  layers = [
    dataclasses.replace(layer, clips=(clip,), accepted=clip.number)
    for layer in song.layers
    if layer.accepted in new
    for clip in [new[layer.accepted]]
  ]
  return dataclasses.replace(song, layers=tuple(layers))
