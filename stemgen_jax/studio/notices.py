"""Warnings for the listener, collected for the request that causes them."""

import contextlib
import contextvars
import warnings
from collections.abc import Iterator

from stemgen_jax.generation.take import GenerationWarning

_found: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
  "notices", default=None
)


@contextlib.contextmanager
def routed() -> Iterator[None]:
  """Bring warnings to `collected`, in all threads, until the end."""
  with warnings.catch_warnings():
    warnings.simplefilter("always", GenerationWarning)
    show = warnings.showwarning

    def collect(message: Warning | str, category: type, *more, **named) -> None:
      found = _found.get()
      if found is None or not issubclass(category, GenerationWarning):
        show(message, category, *more, **named)
      elif str(message) not in found:
        found.append(str(message))

    warnings.showwarning = collect
    yield


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
  """Yield a list that gets the warnings of this thread."""
  found: list[str] = []
  token = _found.set(found)
  try:
    yield found
  finally:
    _found.reset(token)
