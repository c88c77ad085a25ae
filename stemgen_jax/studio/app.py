"""The application: routes, errors as JSON, files, and its description."""

import contextlib
import importlib.util
import pathlib

import pydantic
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from stemgen_jax.studio import harp, live_routes, notices, routes, uploads
from stemgen_jax.studio.errors import (
  MissingError,
  RequestError,
  invalid_field,
)
from stemgen_jax.studio.live_stage import LiveStage
from stemgen_jax.studio.safety import Safety
from stemgen_jax.studio.studio import Studio
from stemgen_jax.version import __version__

_STATIC = pathlib.Path(__file__).parent / "static"
_SCRIPT = "text/javascript"
# From the package `wavesurf`: files of wavesurfer.js.
_WAVESURFER = (
  "wavesurfer.min.js",
  *(
    f"plugins/{name}.min.js"
    for name in ("minimap", "regions", "spectrogram", "timeline")
  ),
)
# From the package `fastapi_offline`: Swagger UI, which shows /openapi.json.
_DOCS = {"swagger-ui-bundle.js": _SCRIPT, "swagger-ui.css": "text/css"}
_DOCS_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<title>stemgen-jax studio: HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script></html>
"""
_DOCS_START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", validatorUrl: null
});
"""


def create_app(studio: Studio) -> FastAPI:
  """Return the application of a studio.

  Args:
    studio: the studio; it is closed with the application.
  """

  @contextlib.asynccontextmanager
  async def lifespan(app: FastAPI):
    with notices.routed():
      studio.loading.start()
      yield
    app.state.harp.close()
    app.state.live.close()
    studio.close()

  app = FastAPI(
    title="stemgen-jax studio",
    version=__version__,
    summary="Build a song layer by layer.",
    docs_url=None,
    redoc_url=None,
    lifespan=lifespan,
  )
  app.state.studio, app.state.harp = studio, harp.Harp(studio)
  app.state.live, app.state.places = LiveStage(studio), uploads.Places()
  for router in (routes.router, live_routes.router, harp.router):
    app.include_router(router)
  _add_files(app)
  app.add_middleware(Safety, most_bytes=uploads.MOST_BYTES)
  for kind, handler in (
    (RequestError, _request_error),
    (RequestValidationError, _validation_error),
    (pydantic.ValidationError, _validation_error),
    (HTTPException, _http_error),
    (ValueError, _value_error),
    (OSError, _value_error),
  ):
    app.add_exception_handler(kind, handler)
  return app


def _add_files(app: FastAPI) -> None:
  @app.get("/", include_in_schema=False)
  def index() -> Response:
    return _file(_STATIC, "index.html", "text/html")

  @app.get("/wavesurfer/{name:path}", include_in_schema=False)
  def wavesurfer(name: str) -> Response:
    if name not in _WAVESURFER:
      raise MissingError(f"no file {name[:100]!r}")
    return _file(_package("wavesurf"), name, _SCRIPT)

  @app.get("/docs", include_in_schema=False)
  def docs() -> Response:
    return HTMLResponse(_DOCS_PAGE)

  @app.get("/docs/{name}", include_in_schema=False)
  def docs_file(name: str) -> Response:
    if name == "start.js":
      return Response(_DOCS_START, media_type=_SCRIPT)
    if name not in _DOCS:
      raise MissingError(f"no file {name[:100]!r}")
    folder = _package("fastapi_offline") / "static"
    return _file(folder, name, _DOCS[name])

  app.mount("/static", StaticFiles(directory=_STATIC, check_dir=False))


def _file(folder: pathlib.Path, name: str, media_type: str) -> Response:
  path = folder / name
  if not path.is_file():
    raise MissingError(f"{name} is missing: install the extra `studio` again")
  return FileResponse(
    path, media_type=media_type, headers={"cache-control": "no-cache"}
  )


def _package(name: str) -> pathlib.Path:
  """Return the folder of a package without importing it."""
  found = importlib.util.find_spec(name)
  if found is None or not found.submodule_search_locations:
    raise MissingError(f"{name} is missing: install the extra `studio`")
  return pathlib.Path(found.submodule_search_locations[0])


def _answer(status: int, text: str) -> JSONResponse:
  return JSONResponse({"error": " ".join(text.split())}, status)


def _request_error(request: Request, error: Exception) -> Response:
  del request
  assert isinstance(error, RequestError)
  return _answer(error.status, str(error))


def _validation_error(request: Request, error: Exception) -> Response:
  del request
  assert isinstance(error, RequestValidationError | pydantic.ValidationError)
  return _answer(422, invalid_field(error.errors(), "body"))


def _http_error(request: Request, error: Exception) -> Response:
  del request
  assert isinstance(error, HTTPException)
  return _answer(error.status_code, str(error.detail))


def _value_error(request: Request, error: Exception) -> Response:
  del request
  status = 400
  if isinstance(error, FileExistsError | BlockingIOError):
    status = 409
  elif isinstance(error, OSError):
    status = 500
  return _answer(status, str(error))
