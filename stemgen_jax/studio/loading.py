"""The model of the server, which loads while the server answers."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from stemgen_jax.generation import compilation, exported
from stemgen_jax.generation.stemgen import StemGen

_POLL = 0.1  # seconds between two checks of a job that waits


class Loading:
  """A model that loads in a thread.

  Attributes:
    name: name of the weights.
    stage: the work that users of the model wait for, for display.
  """

  def __init__(
    self,
    load: Callable[[], StemGen],
    name: str,
    warm: Callable[[StemGen], object] = lambda model: None,
  ):
    """Prepare to load.

    Args:
      load: loads the model.
      name: name of the weights.
      warm: prepares it for its first user.
    """
    self._load, self.name, self._warm = load, name, warm
    self.stage = "loading the model"
    self._done = threading.Event()
    self._free = threading.Lock()
    self._model: StemGen | None = None
    self._error: Exception | None = None

  def start(self) -> None:
    """Start to load."""
    threading.Thread(target=self._run, daemon=True).start()

  @property
  def model(self) -> StemGen | None:
    """The model, once it is loaded."""
    return self._model

  @property
  def conditions(self) -> Sequence[str]:
    """Names of the conditions of the model, also before it is loaded."""
    if self._model is not None:
      return self._model.config.conditions
    return exported.conditions(self.name) or ("category",)

  @property
  def state(self) -> str:
    """ "loading", "ready", or the error."""
    if not self._done.is_set():
      return "loading"
    return "ready" if self._error is None else str(self._error)

  def wait(self, check: Callable[[str], object]) -> StemGen:
    """Return the model; raise the error of its loading.

    Args:
      check: called again and again meanwhile with the work that is waited for;
        may raise.
    """
    while not self._done.wait(_POLL):
      check(self.stage)
    if self._model is None:
      raise ValueError(f"the model could not be loaded: {self._error}")
    return self._model

  @contextlib.contextmanager
  def used(self, check: Callable[[str], object]) -> Iterator[StemGen]:
    """Yield the model to one user at a time.

    Args:
      check: as in `wait`, and called with "" at the end.
    """
    model = self.wait(check)
    while not self._free.acquire(timeout=_POLL):
      check(self.stage)
    try:
      check("")
      yield model
    finally:
      self._free.release()

  def _run(self) -> None:
    try:
      model = self._load()
    except Exception as error:
      self._error = error
      self._done.set()
      return
    with self._free:
      self._model = model
      self._done.set()
      cold = compilation.is_cold()
      self.stage = "compiling, once per machine" if cold else "preparing"
      with contextlib.suppress(Exception):  # the first user raises it again
        self._warm(model)
      # Before another user has the model, and perhaps a stage of its own.
      self.stage = "waiting for another user of the model"
