"""The user's own audio as layers."""

import os
import pathlib
import warnings
from collections.abc import Callable

from stemgen_jax import audio as audio_lib
from stemgen_jax import categories
from stemgen_jax.audio import Audio
from stemgen_jax.generation.inputs import Context
from stemgen_jax.generation.take import GenerationWarning
from stemgen_jax.session import store
from stemgen_jax.session.clip_files import ClipFiles
from stemgen_jax.session.song import Clip, Layer, Song
from stemgen_jax.session.store import History


def beginning(
  folder: pathlib.Path, sound: Audio, name: str, category: str, loop: bool
) -> Callable[[], History]:
  """Return a function that starts the session of a song in a folder.

  Args:
    folder: folder of the session.
    sound: the first layer, which states length and format of the song.
    name: its name; "" for a song without layers.
    category: its category, or "".
    loop: the song is one period of a loop.

  Raises:
    ValueError: flac, in which a session keeps its audio, has no such format.
  """
  audio_lib.check_format("layer.flac", sound)
  category = categories.parse_category(category) if category else ""
  song = Song(
    samples=len(sound.samples),
    sample_rate=sound.sample_rate,
    channels=sound.channels,
    loop=loop,
    time_reference=sound.time_reference,
  )

  def start() -> History:
    if not name:
      return store.start(folder, History(song=song))
    store.check_new(folder)
    (folder / store.AUDIO).mkdir(parents=True, exist_ok=True)
    clip = ClipFiles(folder / store.AUDIO).write_own(1, sound, name)
    layered = song.with_layer(own_layer(song, clip, category))
    return store.start(folder, History(song=layered, next_clip=2))

  return start


def own_layer(song: Song, clip: Clip, category: str) -> Layer:
  """Return a new layer of the user's own audio."""
  name = song.unused_name(clip.name)
  return Layer(
    name=name, category=category, clips=(clip,), accepted=clip.number
  )


def converted(sound: Audio, song: Song, name: str) -> Audio:
  """Return audio in the format and length of a song."""
  samples = audio_lib.resample(
    sound.samples, sound.sample_rate, song.sample_rate
  )
  if abs(len(samples) - song.samples) > song.sample_rate / 100:
    done = "cut" if len(samples) > song.samples else "padded with silence"
    warnings.warn(
      f"{name} is {sound.seconds:.2f} s long, the song {song.seconds:.2f} s: "
      f"{done}",
      GenerationWarning,
      stacklevel=3,
    )
  samples = audio_lib.with_channels(samples, song.channels)
  return Audio(audio_lib.fit(samples, song.samples), song.sample_rate)


def name_of(sound: Context) -> str:
  """Return the name of a file without its suffix, or "audio"."""
  if isinstance(sound, str | os.PathLike):
    return pathlib.Path(sound).stem
  return "audio"
