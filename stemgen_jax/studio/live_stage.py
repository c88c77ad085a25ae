"""At most one live run at a time, and the latest one, which can be kept."""

import threading
from collections.abc import Callable
from typing import Any

from stemgen_jax.studio.errors import ConflictError
from stemgen_jax.studio.live_bodies import Keep
from stemgen_jax.studio.live_plan import Plan
from stemgen_jax.studio.live_run import LiveRun
from stemgen_jax.studio.studio import Studio

_LEAVING = 8.0  # seconds at most; a chunk that is generated is waited for
_WAITING = "waiting for the end of the live run"


class LiveStage:
  """The place of live runs.

  Attributes:
    run: the present run, or the latest one.
  """

  def __init__(self, studio: Studio):
    """Play the song of a studio, with its model."""
    self._studio = studio
    self._taken, self._ending = threading.Lock(), False
    self._reading = threading.Lock()  # of the latest run's recording
    self.run: LiveRun | None = None
    self._release: Callable[[], object] = lambda: None

  @property
  def playing(self) -> bool:
    """Whether a client plays, or prepares to."""
    return self._taken.locked() and not self._ending

  def take(self) -> bool:
    """Return whether the place was free; it belongs to the caller now.

    It may take seconds, if the run before is about to end.
    """
    taken = self._taken.acquire(timeout=_LEAVING if self._ending else 0)
    if taken:
      self._ending = False
    return taken

  def end(self) -> None:
    """Let the next client wait for the place, which is about to be left."""
    self._ending = True

  def leave(self) -> None:
    """End the run, if any, and leave the place to others."""
    self.end()
    if self.run is not None:
      self.run.stop()
    self._release()
    self._release = lambda: None
    self._taken.release()

  def begin(self, plan: Plan, check: Callable[[str], object]) -> LiveRun:
    """Return a run whose programs are compiled.

    Until `leave`, it alone has the model: jobs wait.

    Args:
      plan: what it plays.
      check: see `Loading.used`.
    """
    loading = self._studio.loading
    used = loading.used(check)
    model = used.__enter__()
    stage, loading.stage = loading.stage, _WAITING

    def release() -> None:
      loading.stage = stage
      used.__exit__(None, None, None)

    try:
      check("preparing the layers")
      run = LiveRun(plan, model, loading.name, self._studio.folder)
      self._forget()
      self.run = run
      check("")
    except BaseException:
      release()
      raise
    self._release = release
    return run

  def as_json(self) -> dict[str, Any]:
    """Return whether a run is on, and what of the latest one can be kept."""
    run = self.run
    return {
      "playing": self.playing,
      "state": run.state() if run else None,
      "can_keep": self._can_keep() if run else [],
    }

  def keep(self, body: Keep) -> list[str]:
    """Keep layers or all of the latest run; return the names of the layers.

    Raises:
      ConflictError: there is none, or its song is not open.
    """
    studio = self._studio
    with self._reading:
      if self.run is None:
        raise ConflictError("nothing was played live yet")
      if body.what not in self._can_keep():
        raise ConflictError(
          "the song that was played is not open: keep the performance instead"
        )
      if body.what == "layers":
        return self.run.keep_layers(studio.song.session)
      studio.replace(self.run.performance())
      return [layer.name for layer in studio.song.session.song.layers]

  def close(self) -> None:
    """Forget the latest run."""
    self._forget()

  def _can_keep(self) -> list[str]:
    song_id = self.run.plan.song_id if self.run else ""
    song = self._studio.opened
    same = song is not None and song.id == song_id
    return ["layers"] * same + ["performance"]

  def _forget(self) -> None:
    with self._reading:
      if self.run is not None:
        self.run.close()
      self.run = None
