"""Requests that are refused: from other sites, and too large ones; and bugs.

A page of another site may send requests to this machine, also under a name of
its own that leads here (DNS rebinding). So requests need the name of this
machine as Host, and pages an Origin that is the same.
"""

import asyncio
import urllib.parse
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemgen_jax.studio.errors import TooLargeError, text_of

HOSTS = ("127.0.0.1", "localhost", "::1")
_MOST_JSON = 1_000_000  # bytes of a body that is not a form
_UPLOADS = ("/song", "/layers", "/gradio_api/upload")  # POST with a file

_HEADERS = {
  "content-security-policy": "; ".join(
    (
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self' 'unsafe-inline'",  # wavesurfer's, in its shadow DOM
      "img-src 'self' data: blob:",
      "font-src 'self'",
      "media-src 'self' blob:",
      "worker-src 'self' blob:",
      "connect-src 'self' blob:",
      "manifest-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    )
  ),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}


class Safety:
  """Middleware that refuses requests, and adds headers to the responses."""

  def __init__(self, app: ASGIApp, most_bytes: int):
    """Wrap an application.

    Args:
      app: the application.
      most_bytes: limit of forms with files.
    """
    self._app, self._most = app, most_bytes

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request."""
    socket = scope["type"] == "websocket"
    # Pages of all sites may open one: browsers do not ask the server first.
    if socket and (reason := _foreign(Headers(scope=scope))):
      await JSONResponse({"error": reason}, 403)(scope, receive, send)
      return
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return

    started = False

    async def send_safe(message: Message) -> None:
      nonlocal started
      if message["type"] == "http.response.start":
        started = True
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
          headers.setdefault(name, value)
        headers.setdefault("cache-control", "no-store")
      await send(message)

    headers = Headers(scope=scope)
    if reason := _foreign(headers):
      refused = JSONResponse({"error": reason}, 403)
      await refused(scope, receive, send_safe)
      return
    most = self._most if _uploads(scope, headers) else _MOST_JSON
    stated = headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > most:
      refused = JSONResponse({"error": _too_large(most)}, 413)
      await refused(scope, receive, send_safe)
      return
    count = 0

    async def receive_some() -> Message:
      nonlocal count
      message = await receive()
      count += len(message.get("body", b""))
      if count > most:  # of a body whose length is not stated
        raise TooLargeError(_too_large(most))
      return message

    try:
      await self._app(scope, receive_some, send_safe)
    except ClientDisconnect:
      pass
    except asyncio.CancelledError:  # by `Server.shutdown`
      if not started:
        ended = JSONResponse({"error": "the studio has ended"}, 503)
        await ended(scope, receive, send_safe)
    except Exception as error:
      if started:
        raise
      failed = JSONResponse({"error": text_of(error)}, 500)
      await failed(scope, receive, send_safe)


def _uploads(scope: Scope, headers: Headers) -> bool:
  """Return whether a request may have a file."""
  form = headers.get("content-type", "").startswith("multipart/form-data")
  return form and scope["method"] == "POST" and scope["path"] in _UPLOADS


def _too_large(most: int) -> str:
  return f"the body is too large: expected at most {most / 1e6:g} MB"


def _foreign(headers: Headers) -> str:
  """Return why a request is not from this machine or page, or ""."""
  host = headers.get("host", "")
  if _name(f"http://{host}") not in HOSTS:
    return f"host {host[:100]!r}: expected {' or '.join(HOSTS[:2])}"
  origin: Any = headers.get("origin")
  if origin is not None and origin.lower() != f"http://{host.lower()}":
    return f"origin {origin[:100]!r}: expected http://{host}"
  # From a page without an Origin: embedded in another one.
  site = headers.get("sec-fetch-site", "none")
  navigates = headers.get("sec-fetch-mode") == "navigate"
  if site not in ("same-origin", "none") and not navigates:
    return f"a request from another site ({site[:20]}): expected none"
  return ""


def _name(url: str) -> str:
  try:
    return urllib.parse.urlsplit(url).hostname or ""
  except ValueError:
    return ""
