"""The present state of a session, in memory and in its folder."""

import contextlib
import dataclasses
import pathlib
import threading
import weakref
from collections.abc import Callable, Collection, Iterable

from stemgen_jax import locks
from stemgen_jax.audio import Audio
from stemgen_jax.session import mixing, store
from stemgen_jax.session.clip_files import ClipFiles
from stemgen_jax.session.song import Clip, Layer, Part, Song

# Sessions of this process by their folders: those of one folder share a state.
_states: weakref.WeakValueDictionary[pathlib.Path, "State"] = (
  weakref.WeakValueDictionary()
)
_opening = threading.Lock()


class Job:
  """A call that adds clips to one layer, as one operation.

  Attributes:
    layer: name of the layer; "" for a new one, until its first clip.
    samples: length of the song that the clips are for.
  """

  def __init__(self, layer: str, samples: int):
    """Add to a layer, or to a new one."""
    self.layer, self.samples = layer, samples


class State:
  """A history of songs and the files of their clips.

  This process is the only one that writes the folder, until `close`. Every
  change is written before the method returns. Methods may be called from
  several threads.

  Attributes:
    folder: folder of the session.
    files: audio files of the clips.
  """

  def __init__(self, folder: pathlib.Path, start: Callable[[], store.History]):
    """Use `of`."""
    held = contextlib.ExitStack()
    busy = (
      "{path} is open in the studio or another command (process {holder}); end "
      "it first"
    )
    held.enter_context(locks.only_writer(folder, folder=True, busy=busy))
    try:
      self._history = start()
    except BaseException:
      held.close()
      raise
    self.folder = folder
    self.files = ClipFiles(folder / store.AUDIO)
    self._release = weakref.finalize(self, held.close)
    self._lock = threading.RLock()
    self._writing = threading.Lock()  # acquired before the other one
    self._job: Job | None = None  # that added the latest clip

  @classmethod
  def of(
    cls, folder: pathlib.Path, start: Callable[[], store.History]
  ) -> "State":
    """Return the state of a folder, which other sessions may use as well.

    Args:
      folder: folder of the session.
      start: returns its history, once no other process writes the folder.

    Raises:
      BlockingIOError: another process has the session open.
      ValueError, OSError: errors of `start`.
    """
    path = folder.absolute()
    with _opening:
      state = _states.get(path)
      if state is None or not state.is_open:
        state = _states[path] = cls(folder, start)
      return state

  @property
  def is_open(self) -> bool:
    """Whether this process may write the folder."""
    return self._release.alive

  def close(self) -> None:
    """Let other processes write the folder, once no clip is being written."""
    with self._writing, self._lock:
      self._release()

  @property
  def song(self) -> Song:
    """The present song."""
    return self._history.song

  @property
  def can_undo(self) -> bool:
    """Whether there is an operation to undo."""
    return bool(self._history.before)

  @property
  def can_redo(self) -> bool:
    """Whether there is an undone operation to redo."""
    return bool(self._history.undone)

  def update(self, function: Callable[[Song], Song]) -> None:
    """Replace the present song by the result of a function of it.

    The same song is not an operation to undo.
    """
    with self._lock:
      self._check_open()
      song = function(self.song)
      if song != self.song:
        self._keep(self._history.then(song))

  def undo(self) -> None:
    """Return to the song before; ValueError if there is none."""
    with self._lock:
      self._keep(self._history.undo())

  def redo(self) -> None:
    """Take back an undo; ValueError if there is none."""
    with self._lock:
      self._keep(self._history.redo())

  def add(self, clip: Clip, category: str, job: Job) -> None:
    """Add a clip to the layer of a job.

    Args:
      clip: the clip.
      category: category of the layer, if it is new or was removed.
      job: all its clips are one operation.

    Raises:
      ValueError: the song has another length than the clip.
    """
    with self._lock:
      song = self.song
      if song.samples != job.samples:
        raise ValueError("the song was changed meanwhile: generate it again")
      job.layer = job.layer or song.unused_name(category)
      layer = next(
        (one for one in song.layers if one.name == job.layer),
        Layer(name=job.layer, category=category),
      )
      added = dataclasses.replace(layer, clips=(*layer.clips, clip))
      song = song.with_layer(added)
      if job is self._job:
        self._keep(dataclasses.replace(self._history, song=song))
      else:
        self._keep(self._history.then(song))
      self._job = job

  def write(self, files_of: Callable[[int], Clip]) -> Clip:
    """Write the files of a new clip, and return it.

    Its number is reserved by the next change. If the process is killed before,
    the next one uses it again, after it deleted the files.

    Args:
      files_of: writes the files of a clip by its number.
    """
    with self._writing:
      with self._lock:
        self._check_open()
        number = self._history.next_clip
        self._history = dataclasses.replace(self._history, next_clip=number + 1)
      return files_of(number)

  def clips(self) -> dict[int, Clip]:
    """Return all clips by number, also those that an undo brings back."""
    return {
      clip.number: clip
      for song in self._history.songs()
      for layer in song.layers
      for clip in layer.clips
    }

  def layers_of(self, clips: Collection[int]) -> set[str]:
    """Return the names of the layers of clips, also of discarded ones."""
    return {
      layer.name
      for song in self._history.songs()
      for layer in song.layers
      if any(clip.number in clips for clip in layer.clips)
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

  def _check_open(self) -> None:
    if not self.is_open:
      raise ValueError(f"{self.folder}: the session is closed; open it again")

  def _keep(self, history: store.History) -> None:
    self._check_open()
    store.write(self.folder, history)
    self._history, self._job = history, None
