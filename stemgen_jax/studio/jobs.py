"""The queue of a song: one job after the other, kept in the song's folder."""

import contextlib
import dataclasses
import pathlib
import secrets
import threading
from collections.abc import Callable
from typing import Any

import pydantic

from stemgen_jax import disk
from stemgen_jax.studio import bodies, notices
from stemgen_jax.studio.errors import ConflictError, MissingError, text_of

FILE = "studio.json"
_FORMAT = 1
_MOST_WAITING, _MOST_ENDED = 50, 100
_FIX = "delete it; the song and its takes are in other files"
_UNFINISHED = ("queued", "running")
# Fields that are stored, next to the request.
_STORED = ("id", "state", "layer", "clips", "seed", "first", "error", "notices")


class StoppedError(Exception):
  """The job was cancelled, or the song is closed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
  """One request for takes, and how far it is.

  Attributes:
    id: unique among all songs.
    request: body of the request, one of `bodies.Request`.
    state: queued, running, done, failed or cancelled.
    layer: layer of the takes; "" for a new one, until its first take.
    clips: numbers of the finished takes.
    seed: seed of the first take, from the start on.
    first: least number of a take of the job, from the start on.
    error: why it failed.
    notices: warnings for the listener.
    progress: 0 to 1.
    seconds_left: estimate; None if unknown.
    stage: the current work, for display.
  """

  id: str
  request: Any
  state: str = "queued"
  layer: str = ""
  clips: tuple[int, ...] = ()
  seed: int | None = None
  first: int = 0
  error: str = ""
  notices: tuple[str, ...] = ()
  progress: float = 0.0
  seconds_left: float | None = None
  stage: str = ""

  @property
  def unfinished(self) -> bool:
    """Whether it waits or runs."""
    return self.state in _UNFINISHED


class Running:
  """A job that runs, for the function that does its work."""

  def __init__(self, queue: "Queue", job: Job):
    self._queue, self._id = queue, job.id

  @property
  def job(self) -> Job:
    """The job at present."""
    return self._queue.job(self._id)

  def check(self) -> None:
    """Raise StoppedError if the job was cancelled or the song is closed."""
    if self._queue.closing or self.job.state != "running":
      raise StoppedError

  def update(self, **fields: Any) -> None:
    """Replace fields of the job."""
    self._queue.update(self._id, **fields)


class Queue:
  """Jobs of one song, oldest first; a thread runs one after the other.

  They survive the process: those that had not finished start again, see
  `Job.first`. Methods may be called from several threads.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    run: Callable[[Running], object],
    changed: Callable[[], object],
  ):
    """Read the jobs of a folder, and resume them.

    Args:
      folder: folder of the session.
      run: does the work of a job; ValueError and OSError are for its client.
      changed: called after each change.

    Raises:
      ValueError: the file of the jobs is corrupt.
    """
    self._file, self._run, self._changed = folder / FILE, run, changed
    self.closing = False
    self._condition = threading.Condition(threading.RLock())
    self._jobs: dict[str, Job] = {}
    self._current = ""
    self.song_id = secrets.token_hex(4)
    if self._file.is_file():
      self._read()
    self._save(self._jobs)
    # A daemon: compilation cannot be interrupted, and the process may end.
    self._thread = threading.Thread(target=self._work, daemon=True)
    self._thread.start()

  def jobs(self) -> list[Job]:
    """Return all jobs, oldest first."""
    with self._condition:
      return list(self._jobs.values())

  def job(self, id: str) -> Job:
    """Return a job; raise MissingError if there is none."""
    with self._condition:
      if id not in self._jobs:
        raise MissingError(f"no job {id!r}")
      return self._jobs[id]

  def add(self, request: Any, layer: str = "") -> Job:
    """Add a job; raise ConflictError if too many wait, or after `close`."""
    with self._condition:
      if self.closing:  # another process may write the folder
        raise ConflictError("the song was closed meanwhile: start one first")
      waiting = [job for job in self._jobs.values() if job.unfinished]
      if len(waiting) >= _MOST_WAITING:
        raise ConflictError(f"{len(waiting)} jobs wait: cancel some of them")
      job = Job(id=secrets.token_hex(4), request=request, layer=layer)
      jobs = self._jobs | {job.id: job}
      ended = [job.id for job in jobs.values() if not job.unfinished]
      for id in ended[:-_MOST_ENDED]:
        if id != self._current:  # a cancelled one may not have stopped yet
          del jobs[id]
      self._save(jobs)  # one that cannot be stored is refused
      self._jobs = jobs
      self._condition.notify_all()
    self._changed()
    return job

  def cancel(self, id: str) -> Job:
    """End a job, at the next step of its sampling if it runs."""
    with self._condition:
      if self.job(id).unfinished:
        self.update(id, state="cancelled", seconds_left=None, stage="")
      return self._jobs[id]

  def update(self, id: str, **fields: Any) -> None:
    """Replace fields of a job; write those that are stored.

    Raises:
      OSError: they cannot be written; in memory they are replaced.
    """
    with self._condition:
      if self.closing:
        return  # on the disk it is as it was, and starts again
      self._jobs[id] = dataclasses.replace(self.job(id), **fields)
      try:
        if not fields.keys().isdisjoint(_STORED):
          self._save(self._jobs)
      finally:
        self._changed()

  def close(self, seconds: float) -> None:
    """Stop the running job, and keep it for the next start.

    Args:
      seconds: time to wait for it.
    """
    with self._condition:
      self.closing = True
      self._condition.notify_all()
    self._thread.join(seconds)

  def _next(self) -> Job | None:
    return next((x for x in self._jobs.values() if x.state == "queued"), None)

  def _work(self) -> None:
    while True:
      with self._condition:
        self._condition.wait_for(lambda: self.closing or self._next())
        job = self._next()
        if self.closing or job is None:
          return
        self._current = job.id
        with contextlib.suppress(OSError):  # a full disk: it starts again
          self.update(job.id, state="running")
      fields = self._result(job)
      with self._condition:
        if self.job(job.id).state == "cancelled":
          fields.pop("state", None)
        with contextlib.suppress(OSError):  # a full disk: it runs again
          self.update(job.id, stage="", seconds_left=None, **fields)

  def _result(self, job: Job) -> dict[str, Any]:
    with notices.collected() as found:
      try:
        self._run(Running(self, job))
        fields = {"state": "done", "progress": 1.0}
      except StoppedError:
        fields = {}
      except Exception as error:
        fields = {"state": "failed", "error": text_of(error)}
    return fields | {"notices": tuple(found)}

  def _save(self, jobs: dict[str, Job]) -> None:
    stored = [
      {name: getattr(job, name) for name in _STORED}
      | {"request": job.request.model_dump(mode="json", exclude_unset=True)}
      for job in jobs.values()
    ]
    content = {"format": _FORMAT, "song_id": self.song_id, "jobs": stored}
    disk.write_json(self._file, content)

  def _read(self) -> None:
    stored = disk.read_json(self._file, _FIX)
    adapter = pydantic.TypeAdapter(bodies.Request)
    try:
      if stored["format"] != _FORMAT:
        raise ValueError(f"format {stored['format']}, not {_FORMAT}")
      self.song_id = str(stored["song_id"])
      for fields in stored["jobs"]:
        request = adapter.validate_python(fields.pop("request"))
        job = Job(request=request, **fields)
        # One that ran when the process ended starts again.
        state = "queued" if job.unfinished else job.state
        clips, found = tuple(job.clips), tuple(job.notices)
        self._jobs[job.id] = dataclasses.replace(
          job, state=state, clips=clips, notices=found
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
      reason = " ".join(str(error).split())
      raise ValueError(f"{self._file} is corrupt ({reason}): {_FIX}") from error
