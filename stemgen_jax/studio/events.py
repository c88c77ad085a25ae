"""Server-sent events: the song and the jobs, to every client."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from stemgen_jax.studio.errors import ConflictError

_HEARTBEAT = 15.0  # seconds; proxies end connections that are silent
_LEAST = 0.2  # seconds between two events of a client
_MOST_CLIENTS = 64


class TooManyClientsError(ConflictError):
  """No further client is accepted."""


class Events:
  """Tells clients what has changed; a slow client gets the latest state only.

  `changed` and `close` may be called from any thread.
  """

  def __init__(self, topics: dict[str, Callable[[], Any]]):
    """Publish the values of some functions.

    Args:
      topics: functions by the names of their events; they return values of
        JSON, and may be called from any thread.
    """
    self._topics = topics
    self._versions = dict.fromkeys(topics, 0)
    self._clients: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
    self._lock = threading.Lock()
    self._closed = False

  def changed(self, topic: str) -> None:
    """Let all clients know that a topic has another value."""
    with self._lock:
      self._versions[topic] += 1
      self._wake()

  def close(self) -> None:
    """End all streams."""
    with self._lock:
      self._closed = True
      self._wake()

  def stream(self) -> AsyncIterator[str]:
    """Return the events of a client, in the format of server-sent events.

    Raises:
      TooManyClientsError: too many clients listen already.
    """
    with self._lock:
      if len(self._clients) >= _MOST_CLIENTS:
        raise TooManyClientsError(
          f"{_MOST_CLIENTS} pages are open: close some of them"
        )
      wake = asyncio.Event()
      self._clients[wake] = asyncio.get_running_loop()
    return self._events(wake)

  async def _events(self, wake: asyncio.Event) -> AsyncIterator[str]:
    sent: dict[str, int] = {}
    try:
      while not self._closed:
        wake.clear()
        versions = dict(self._versions)
        for topic, version in versions.items():
          if sent.get(topic) != version:
            value = await asyncio.to_thread(self._topics[topic])
            yield f"event: {topic}\ndata: {json.dumps(value)}\n\n"
        sent = versions
        await asyncio.sleep(_LEAST)
        try:
          async with asyncio.timeout(_HEARTBEAT):
            await wake.wait()
        except TimeoutError:
          yield ": heartbeat\n\n"
    finally:
      with self._lock:
        self._clients.pop(wake, None)

  def _wake(self) -> None:
    for wake, loop in self._clients.items():
      if not loop.is_closed():
        loop.call_soon_threadsafe(wake.set)
