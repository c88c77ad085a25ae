"""The present state of a session, in memory and in its folder."""

import dataclasses
import pathlib
import threading
from collections.abc import Iterable

from stemgen_jax.audio import Audio
from stemgen_jax.session import mixing, store
from stemgen_jax.session.clip_files import ClipFiles
from stemgen_jax.session.song import Clip, Layer, Part, Song


class State:
  """A history of songs and the files of their clips.

  Every change is written to the folder before the method returns. Methods may
  be called from several threads.

  Attributes:
    folder: folder of the session.
    files: audio files of the clips.
  """

  def __init__(self, folder: pathlib.Path, history: store.History):
    """Use the history of a folder that exists."""
    self.folder = folder
    self.files = ClipFiles(folder / store.AUDIO)
    self._history = history
    self._lock = threading.RLock()
    self._job: object = None  # the call that added the latest clip

  @property
  def song(self) -> Song:
    """The present song."""
    return self._history.song

  def change(self, song: Song) -> None:
    """Make another song the present one."""
    with self._lock:
      self._keep(self._history.then(song))

  def undo(self) -> None:
    """Return to the song before; ValueError if there is none."""
    with self._lock:
      self._keep(self._history.undo())

  def redo(self) -> None:
    """Take back an undo; ValueError if there is none."""
    with self._lock:
      self._keep(self._history.redo())

  def add(self, clip: Clip, layer: Layer, job: object) -> None:
    """Add a clip to a layer, as one operation with the others of its job.

    Args:
      clip: the clip.
      layer: its layer, which may be new.
      job: an object of the call that adds several clips; None for a single one.
    """
    with self._lock:
      # The layer as it is now, which may have changed since the job began.
      now = next((x for x in self.song.layers if x.name == layer.name), layer)
      added = dataclasses.replace(now, clips=(*now.clips, clip))
      song = self.song.with_layer(added)
      if job is not None and job is self._job:
        self._keep(dataclasses.replace(self._history, song=song))
      else:
        self._keep(self._history.then(song))
      self._job = job

  def next_number(self) -> int:
    """Return a number for a new clip."""
    with self._lock:
      number = self._history.next_clip
      # Written with the next change; without one, the number is free again.
      self._history = dataclasses.replace(self._history, next_clip=number + 1)
      return number

  def clips(self) -> dict[int, Clip]:
    """Return all clips by number, also those that an undo brings back."""
    return {
      clip.number: clip
      for song in self._history.songs()
      for layer in song.layers
      for clip in layer.clips
    }

  def mix(self, parts: Iterable[Part]) -> Audio:
    """Return the sum of parts, which may exceed full scale."""
    return self.files.mix(parts, self.clips(), self.song)

  def layer_audio(self, name: str) -> Audio:
    """Return the accepted clip of a layer with its gain and pan.

    Raises:
      ValueError: no such layer, or it has no accepted clip.
    """
    layer = self.song.layer(name)
    if layer.clip is None:
      raise ValueError(f"layer {name!r} has no accepted take")
    sound = self.files.read(layer.clip)
    placed = mixing.placed(sound.samples, layer.gain_db, layer.pan)
    return Audio(placed, sound.sample_rate)

  def _keep(self, history: store.History) -> None:
    self._history = store.write(self.folder, history)
    self._job = None
