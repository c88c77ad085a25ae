"""Run the studio on this machine."""

import asyncio
import contextlib
import logging
import os
import pathlib
import socket
import webbrowser
from collections.abc import Callable

import uvicorn

from stemgen_jax.generation import warming
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.studio.app import create_app
from stemgen_jax.studio.loading import Loading
from stemgen_jax.studio.studio import Studio

_HOST = "127.0.0.1"  # other machines do not reach it
_MOST_MESSAGE = 1_000_000  # bytes of a message of a websocket
_GRACE = 2.0  # seconds for requests that are cut off


class Server(uvicorn.Server):
  """A server of a studio, which ends its streams before it waits for them."""

  def __init__(self, studio: Studio, page: str = ""):
    """Prepare to serve a studio.

    Args:
      studio: the studio.
      page: address to open in the user's browser, once it answers.
    """
    self.app = create_app(studio)
    config = uvicorn.Config(
      self.app,
      log_level="warning",
      access_log=False,
      timeout_graceful_shutdown=1,
      server_header=False,
      proxy_headers=False,
      ws_max_size=_MOST_MESSAGE,
      ws_per_message_deflate=False,  # samples hardly get smaller
    )
    super().__init__(config)
    self._studio, self._page = studio, page

  async def startup(self, sockets: list[socket.socket] | None = None) -> None:
    """Start to answer."""
    await super().startup(sockets)
    if self._page and self.started:
      await asyncio.to_thread(webbrowser.open, self._page)

  async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
    """End all connections, after a second also requests in progress."""
    self._studio.events.close()
    log = logging.getLogger("uvicorn.error")
    log.addFilter(_is_news)
    try:
      await super().shutdown(sockets)
      if cut := set(self.server_state.tasks):
        await asyncio.wait(cut, timeout=_GRACE)
    finally:
      log.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
  """Return False for messages about requests that the end cuts off."""
  error = record.exc_info[1] if record.exc_info else None
  cut = ("Cancel ", "ASGI callable returned without ")
  return not (
    str(record.msg).startswith(cut) or isinstance(error, asyncio.CancelledError)
  )


def listen(port: int) -> socket.socket:
  """Return a socket of this machine.

  Args:
    port: number of the port; 0 for any.

  Raises:
    OSError: another program uses the port.
  """
  found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
  if os.name == "posix":  # elsewhere two programs could share the port
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    found.bind((_HOST, port))
    found.listen()  # connections wait until they are answered
  except OSError as error:
    found.close()
    raise OSError(
      f"--port={port}: {error.strerror}; give another one, or 0 for any"
    ) from error
  return found


def url_of(listening: socket.socket) -> str:
  """Return the address of a server."""
  return f"http://{_HOST}:{listening.getsockname()[1]}"


def run(
  folder: pathlib.Path,
  load: Callable[[], StemGen],
  weights: str,
  *,
  port: int,
  browser: bool = False,
) -> None:
  """Serve a studio until the process is asked to end.

  Args:
    folder: folder of the session.
    load: loads the model.
    weights: name of the weights.
    port: number of the port; 0 for any.
    browser: open the page in the user's browser.

  Raises:
    ValueError, OSError: the port or the folder cannot be used.
  """
  with contextlib.closing(listen(port)) as listening:
    loading = Loading(load, weights, warming.warm)
    studio = Studio(folder, loading)
    url = url_of(listening)
    server = Server(studio, url if browser else "")
    print(f"studio of {folder}: {url}  (Ctrl-C ends it)", flush=True)
    server.run(sockets=[listening])
