"""The studio: one song at a time in a folder, its jobs, and the model."""

import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

from stemgen_jax import categories
from stemgen_jax.generation import estimate, exported
from stemgen_jax.paths import LOOPS
from stemgen_jax.sampling import PRESETS
from stemgen_jax.session import Session, store
from stemgen_jax.studio.errors import ConflictError
from stemgen_jax.studio.events import Events
from stemgen_jax.studio.loading import Loading
from stemgen_jax.studio.open_song import (
  NO_SONG,
  OpenSong,
  remove_leftovers,
  titled,
)

_MOST_FOLDERS = 10_000


class Studio:
  """A song that clients change, its jobs, and the model.

  Attributes:
    loading: the model.
    events: events of the song and of the jobs.
  """

  def __init__(self, folder: pathlib.Path, loading: Loading):
    """Open the session of a folder, if there is one.

    Args:
      folder: folder of the session; later songs are in FOLDER-2, ...
      loading: the model.

    Raises:
      FileExistsError: the folder has other files.
      ValueError, OSError: see `Session.open`.
    """
    folder = pathlib.Path(os.path.abspath(folder))  # "." has no name
    self._base, self._folder, self.loading = folder, folder, loading
    self._lock = threading.Lock()
    self._song: OpenSong | None = None
    self.events = Events({"song": self.song_json, "jobs": self.jobs_json})
    if store.exists(folder):
      self._song = self._opened(Session.open(folder))
    else:
      store.check_new(folder)
    remove_leftovers(folder)  # no request is being served yet

  @property
  def song(self) -> OpenSong:
    """The song; raises ConflictError if none is started."""
    if self._song is None:
      raise ConflictError("no song is started: start one first")
    return self._song

  @property
  def opened(self) -> OpenSong | None:
    """The song, or None."""
    return self._song

  @property
  def folder(self) -> pathlib.Path:
    """Folder of the song, also before it is started."""
    return self._folder

  def start(self, create: Callable[[pathlib.Path], Session]) -> None:
    """Start a song.

    Args:
      create: makes the session in a folder.

    Raises:
      ConflictError: a song is started already.
    """
    with self._lock:
      if self._song is not None:
        raise ConflictError("a song is started already: close it first")
      self._song = self._opened(create(self._folder), new=True)
    self.changed("song")
    self.changed("jobs")

  def replace(self, create: Callable[[pathlib.Path], Session]) -> None:
    """Start a song in place of the present one, which stays if that fails."""
    with self._lock:
      folder = self._folder if self._song is None else self._unused()
      song = self._opened(create(folder), new=True)
      old, self._song, self._folder = self._song, song, folder
      if old is not None:
        old.close()
    self.changed("song")
    self.changed("jobs")

  def close_song(self) -> None:
    """Leave the song, which stays in its folder."""
    with self._lock:
      if self._song is None:
        return
      unused = self._unused()  # before the song is left, as it may fail
      song, self._song = self._song, None
      song.close()
      self._folder = unused
    self.changed("song")
    self.changed("jobs")

  def close(self) -> None:
    """End all streams and jobs; the next start resumes the jobs."""
    self.events.close()
    with self._lock:
      if self._song is not None:
        self._song.close()

  def changed(self, topic: str) -> None:
    """Let clients know of a change of "song" or "jobs"."""
    self.events.changed(topic)

  def song_json(self) -> dict[str, Any]:
    """Return the song as JSON."""
    song = self._song
    return NO_SONG if song is None else song.as_json()

  def jobs_json(self) -> list[dict[str, Any]]:
    """Return the jobs as JSON."""
    song = self._song
    return [] if song is None else song.jobs_as_json()

  def settings_json(self) -> dict[str, Any]:
    """Return the choices of the page, and the state of the model."""
    model = self.loading.model
    # Before it is loaded, as its description states.
    weights = self.loading.name
    known = exported.instruments(weights)
    if model is not None:
      known = model.metadata.get("categories", categories.CATEGORIES)
    conditions = self.loading.conditions
    sources = ("context", *conditions)
    field, kinds = (
      categories.kind_field(conditions),
      categories.kinds(conditions),
    )
    # Where roles take the place of instruments, they are no further choice.
    further = [name for name in sources if name != field]
    guidance = {
      name: {source: settings.guidance.get(source, 1.0) for source in sources}
      for name, settings in PRESETS.items()
    }
    return {
      "instruments": [
        {
          "category": name,
          "title": titled(name),
          "known": field != "stem" or name in known,
        }
        for name in kinds
      ],
      "genres": list(categories.GENRES) if "genre" in further else [],
      "roles": list(categories.ROLES) if "role" in further else [],
      "presets": list(PRESETS),
      "guidance": list(sources),
      "preset_guidance": guidance,
      "preset_steps": {name: x.steps for name, x in PRESETS.items()},
      "loops": loops(),
      "weights": weights,
      "model": self.loading.state,
      "device": estimate.device() if model is not None else "",
    }

  def _opened(self, session: Session, new: bool = False) -> OpenSong:
    try:
      return OpenSong(session, self.loading, self.changed)
    except BaseException:
      if new:  # the folder is free for the next try
        (session.folder / store.FILE).unlink(missing_ok=True)
      session.close()
      raise

  def _unused(self) -> pathlib.Path:
    for number in range(2, _MOST_FOLDERS):
      folder = self._base.with_name(f"{self._base.name}-{number}")
      if not folder.exists():
        return folder
    raise FileExistsError(f"{self._base}-{_MOST_FOLDERS} exists: delete some")


def loops() -> list[str]:
  """Return the names of the loops of the package."""
  return sorted(path.stem for path in LOOPS.glob("*.flac"))
