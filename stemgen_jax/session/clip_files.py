"""Audio files of clips: written once, read, and mixed."""

import pathlib
import warnings
from collections.abc import Iterable, Mapping

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio
from stemgen_jax.generation import codes_file, inputs
from stemgen_jax.generation.take import GenerationWarning, Take, TakeFiles
from stemgen_jax.session import mixing
from stemgen_jax.session.song import Clip, Part, Song

SUFFIXES = (".flac", codes_file.SUFFIX)
"""Suffixes of the files of a clip; a take has codes."""


class ClipFiles:
  """The folder of the audio of a session."""

  def __init__(self, folder: pathlib.Path):
    """Use a folder that exists."""
    self._folder = folder

  def write_own(self, number: int, sound: Audio, name: str) -> Clip:
    """Write the user's own audio, and return its clip."""
    path = self._folder / f"{number:04}.flac"
    gain_db = audio_lib.write(path, sound, metadata={"title": name})
    return Clip(number=number, file=path.name, name=name, file_gain_db=-gain_db)

  def write_take(
    self,
    number: int,
    take: Take,
    context: tuple[Part, ...],
    fit: float | None,
    origin: str = "",
  ) -> Clip:
    """Write a take and its codes, and return its clip; see `Clip`."""
    path = self._folder / f"{number:04}-{take.name}.flac"
    with warnings.catch_warnings():
      # The gain of the file is undone when it is read.
      warnings.simplefilter("ignore", GenerationWarning)
      gains = take.write(TakeFiles(path, codes_file.path_of(path)))
    return Clip(
      number=number,
      file=path.name,
      name=f"{take.kind}, seed {take.seed}",
      file_gain_db=-gains[path],
      seed=take.seed,
      origin=origin or take.origin,
      fit=fit,
      elapsed=round(take.elapsed, 2),
      context=context,
    )

  def read(self, clip: Clip, samples: int | None = None) -> Audio:
    """Return the audio of a clip, cut or padded to a number of samples."""
    sound = audio_lib.read(self._folder / clip.file)
    read = mixing.placed(sound.samples, clip.file_gain_db, 0.0)
    if samples is not None:
      read = audio_lib.fit(read, samples)
    return Audio(read, sound.sample_rate)

  def take(self, clip: Clip) -> Take:
    """Return a generated clip as a take.

    Raises:
      ValueError: the clip is the user's own audio, or its files are corrupt.
    """
    if not clip.generated:
      raise ValueError(
        f"{clip.name} (take {clip.number}) is your own audio: expected a "
        "generated take"
      )
    return Take.load(self._folder / clip.file)

  def mix(
    self, parts: Iterable[Part], clips: Mapping[int, Clip], song: Song
  ) -> Audio:
    """Return the sum of parts in the format and length of a song.

    Args:
      parts: parts of the mix.
      clips: clips by number; a part without its clip is silent.
      song: song with the format.
    """
    silence = inputs.silence(song.seconds, song.sample_rate, song.channels)
    placed = (
      mixing.placed(
        self.read(clips[part.clip], song.samples).samples,
        part.gain_db,
        part.pan,
      )
      for part in parts
      if part.clip in clips
    )
    return mixing.total(placed, silence)
