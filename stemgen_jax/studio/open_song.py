"""One song of the studio: its session, its jobs, and its values as JSON."""

import pathlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

from stemgen_jax.audio import isolated
from stemgen_jax.session import Clip, Layer, Session, store
from stemgen_jax.session.export import export
from stemgen_jax.studio import work
from stemgen_jax.studio.facts import Facts
from stemgen_jax.studio.jobs import Job, Queue
from stemgen_jax.studio.loading import Loading

_EXPORTS = ".export-"
_LATE = 2.0  # seconds for a job to stop

NO_SONG: dict[str, Any] = {
  "id": "",
  "name": "",
  "folder": "",
  "started": False,
  "seconds": 0.0,
  "sample_rate": 0,
  "channels": 0,
  "loop": False,
  "tempo": None,
  "key": None,
  "can_undo": False,
  "can_redo": False,
  "layers": [],
}
"""The values of a song that is not started."""


class OpenSong:
  """A session with a queue of jobs.

  Attributes:
    session: the session.
    queue: its jobs.
  """

  def __init__(
    self,
    session: Session,
    loading: Loading,
    changed: Callable[[str], object],
  ):
    """Resume the jobs of a session.

    Args:
      session: the session, which this process has open.
      loading: the model.
      changed: called with "song" or "jobs" after a change of it.
    """
    self.session = session
    self._facts = Facts(session, lambda: changed("song"))
    self.queue = Queue(
      session.folder,
      lambda running: work.run(
        running, session, loading, lambda: changed("song")
      ),
      lambda: changed("jobs"),
    )

  @property
  def id(self) -> str:
    """Id of the song, which no other one has."""
    return self.queue.song_id

  @property
  def tempo(self) -> dict[str, Any] | None:
    """The detected tempo, as in `as_json`."""
    return self._facts.of_song()["tempo"]

  def close(self) -> None:
    """Stop the jobs, which the next start resumes, and close the session."""
    self.queue.close(_LATE)
    self._facts.close()
    self.session.close()

  def as_json(self) -> dict[str, Any]:
    """Return the song as the page shows it."""
    session, song = self.session, self.session.song
    audible = {layer.name for layer in song.audible}
    return {
      "id": self.id,
      "name": session.folder.name,
      "folder": str(session.folder),
      "started": True,
      "seconds": song.seconds,
      "sample_rate": song.sample_rate,
      "channels": song.channels,
      "loop": song.loop,
      **self._facts.of_song(),
      "can_undo": session.can_undo,
      "can_redo": session.can_redo,
      "layers": [
        {
          "name": layer.name,
          "title": title_of(layer),
          "category": layer.category,
          "gain_db": layer.gain_db,
          "pan": layer.pan,
          "mute": layer.mute,
          "solo": layer.solo,
          "audible": layer.name in audible,
          "clip": layer.accepted,
          "stale": song.is_stale(layer),
          "clips": [self._clip(clip, song.seconds) for clip in layer.clips],
        }
        for layer in song.layers
      ],
    }

  def jobs_as_json(self) -> list[dict[str, Any]]:
    """Return the jobs, oldest first."""
    return [job_as_json(job) for job in self.queue.jobs()]

  def version(self, clip: Clip) -> str:
    """Return the size and time of the file of a clip.

    Copies of the folder have the same id, but later takes of their own.
    """
    try:
      found = (self.session.folder / store.AUDIO / clip.file).stat()
    except OSError:  # its request reports it
      return "missing"
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"

  def _clip(self, clip: Clip, seconds: float) -> dict[str, Any]:
    query = f"song={self.id}&file={self.version(clip)}"
    return {
      "number": clip.number,
      "own": not clip.generated,
      "name": clip.name,
      "seed": clip.seed,
      "origin": clip.origin,
      "fit": clip.fit,
      "seconds": seconds,
      "url": f"/clips/{clip.number}.wav?{query}",
      "peaks": f"/clips/{clip.number}/peaks?{query}",
    }


def remove_leftovers(folder: pathlib.Path) -> None:
  """Remove the temporary folders of a process that was killed."""
  for prefix in (_EXPORTS, isolated.PREFIX):
    for path in folder.glob(f"{prefix}*"):
      shutil.rmtree(path, ignore_errors=True)


def title_of(layer: Layer) -> str:
  """Return the displayed name of a layer: that of its file, or "Bass 2"."""
  if layer.clips and not layer.clips[0].generated:
    return layer.clips[0].name
  return titled(layer.name)


def titled(name: str) -> str:
  """Return a category or name of a layer for display: "Synth lead 2"."""
  return name.replace("_", " ").replace("-", " ").capitalize()


def job_as_json(job: Job) -> dict[str, Any]:
  """Return a job as the page shows it."""
  request = job.request.model_dump(mode="json")
  takes = request.get("takes", 1)
  match request["kind"]:
    case "generate":
      title = titled(job.layer or request["category"])
    case "vary":
      title = f"Variation of take {request['clip']}"
    case "regenerate":
      spans = [f"{start:g}-{end:g} s" for start, end in request["regions"]]
      title = f"{', '.join(spans)} of take {request['clip']}"
    case "refresh":
      title = f"{titled(request['layer'])} again"
    case _:
      title = f"Song of {request['seconds']:g} s"
  return {
    "id": job.id,
    "kind": request["kind"],
    "layer": job.layer,
    "title": title,
    "takes": takes,
    "done": len(job.clips),
    "state": job.state,
    "stage": job.stage,
    "progress": round(job.progress, 4),
    "seconds_left": job.seconds_left,
    "error": job.error,
    "notices": list(job.notices),
    "clips": list(job.clips),
    "request": request,
  }


def write_archive(song: OpenSong, folder: pathlib.Path) -> pathlib.Path:
  """Write a zip file of the song to a folder in that of the session."""
  with tempfile.TemporaryDirectory(
    prefix=_EXPORTS, dir=song.session.folder
  ) as made:
    files = pathlib.Path(made, "files")
    export(song.session, files)
    archive = pathlib.Path(made, "song.zip")
    with zipfile.ZipFile(archive, "w") as target:  # audio hardly compresses
      for each in sorted(files.iterdir()):
        target.write(each, each.name)
    folder.mkdir(exist_ok=True)
    path = folder / f"{song.session.folder.name}.zip"
    archive.replace(path)
  return path
