"""The routes of the song and of its jobs."""

import urllib.parse
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from stemgen_jax.audio import LONGEST
from stemgen_jax.paths import LOOPS
from stemgen_jax.session import Session
from stemgen_jax.studio import bodies, notices, open_song, sounds, uploads, work
from stemgen_jax.studio.errors import (
  ConflictError,
  MissingError,
  RequestError,
)
from stemgen_jax.studio.open_song import OpenSong, job_as_json, titled
from stemgen_jax.studio.studio import Studio, loops

router = APIRouter()
_EXPORTS = "export"
_FOREVER = "private, max-age=31536000, immutable"
_WAV = {200: {"content": {"audio/wav": {}}, "description": "a wav file"}}
JsonObject = dict[str, Any]
Seconds = Annotated[float, Query(ge=0, le=LONGEST, allow_inf_nan=False)]


def _form(*fields: str) -> JsonObject:
  """Return the description of a form with a file, for the OpenAPI page."""
  text = {name: {"type": "string"} for name in fields}
  file = {"type": "string", "format": "binary"}
  return {
    "multipart/form-data": {
      "schema": {
        "type": "object",
        "properties": {"file": file, **text},
        "required": ["file"],
      }
    }
  }


_START = {
  "requestBody": {
    "content": {
      "application/json": {"schema": bodies.Start.model_json_schema()},
      **_form("name", "category", "loop"),
    }
  }
}
_LAYER = {"requestBody": {"content": _form("name", "category")}}


def _studio(request: Request) -> Studio:
  return request.app.state.studio


@router.get("/song", tags=["song"])
def get_song(request: Request) -> JsonObject:
  """Return the song: its layers and their clips."""
  return _studio(request).song_json()


@router.post("/song", tags=["song"], openapi_extra=_START)
async def start_song(request: Request) -> JsonObject:
  """Start a song: from a file, a loop of the package, or from nothing."""
  studio = _studio(request)
  kind = request.headers.get("content-type", "").partition(";")[0]
  if kind == "multipart/form-data":
    fields = ("name", "category", "loop")
    async with uploads.decoded(request, studio.folder, *fields) as upload:
      given = upload.fields

      def create_from_file(folder):
        return Session.create(
          folder,
          upload.sound,
          name=upload.name,
          category=given.get("category", ""),
          loop=given.get("loop", "") in ("true", "1", "on"),
        )

      return await run_in_threadpool(_start, studio, create_from_file)
  if kind != "application/json":
    raise RequestError(
      f"content type {kind[:50]!r}: expected application/json or "
      "multipart/form-data"
    )
  start = bodies.Start.model_validate_json(await request.body())
  if (start.loop is None) == (start.seconds is None):
    raise RequestError("give either a loop, or the seconds of a song from none")
  if start.loop is not None and start.loop not in loops():
    raise RequestError(
      f"unknown loop {start.loop!r}: expected one of {', '.join(loops())}"
    )

  def create(folder):
    if start.loop is not None:
      return Session.create(
        folder,
        LOOPS / f"{start.loop}.flac",
        category="drums" if start.loop == "drums" else "",
        loop=True,
      )
    return Session.create(
      folder,
      seconds=start.seconds,
      sample_rate=start.sample_rate,
      channels=start.channels,
    )

  return await run_in_threadpool(_start, studio, create)


def _start(studio: Studio, create) -> JsonObject:
  with notices.collected() as found:
    studio.start(create)
  return studio.song_json() | {"notices": found}


@router.post("/song/close", tags=["song"])
def close_song(request: Request, body: bodies.Empty) -> JsonObject:
  """Leave the song, which stays in its folder, to start another one."""
  _studio(request).close_song()
  return _studio(request).song_json()


@router.post("/layers", tags=["layers"], openapi_extra=_LAYER)
async def add_layer(request: Request) -> JsonObject:
  """Add a file of your own as a layer."""
  studio = _studio(request)
  song = studio.song
  fields = ("name", "category")
  async with uploads.decoded(request, studio.folder, *fields) as upload:

    def add() -> JsonObject:
      with notices.collected() as found:
        song.session.add_audio(
          upload.sound,
          name=upload.name,
          category=upload.fields.get("category", ""),
        )
      return _changed(studio) | {"notices": found}

    return await run_in_threadpool(add)


@router.patch("/layers/{name}", tags=["layers"])
def adjust_layer(request: Request, name: str, body: bodies.Mixer) -> JsonObject:
  """Change gain, pan, mute or solo of a layer."""
  session = _studio(request).song.session
  work.found_layer(session, name)
  given = body.model_dump()
  session.change(lambda song: song.adjusted(name, **given))
  return _changed(_studio(request))


@router.delete("/layers/{name}", tags=["layers"])
def delete_layer(request: Request, name: str) -> JsonObject:
  """Remove a layer with all its takes; undo brings it back."""
  session = _studio(request).song.session
  work.found_layer(session, name)
  session.change(lambda song: song.without_layer(name))
  return _changed(_studio(request))


@router.post("/clips/{number}/accept", tags=["clips"])
def accept_clip(request: Request, number: int) -> JsonObject:
  """Make a take the one of its layer that is part of the song."""
  session = _studio(request).song.session
  work.found_clip(session, number)
  session.accept(number)
  return _changed(_studio(request))


@router.delete("/clips/{number}", tags=["clips"])
def discard_clip(request: Request, number: int) -> JsonObject:
  """Discard a take; undo brings it back."""
  session = _studio(request).song.session
  work.found_clip(session, number)
  session.change(lambda song: song.discarded(number))
  return _changed(_studio(request))


@router.get("/clips/{number}.wav", tags=["clips"], responses=cast(Any, _WAV))
def get_clip(
  request: Request,
  number: int,
  song: str | None = None,
  file: str | None = None,
  start: Seconds = 0.0,
  end: Seconds | None = None,
) -> Response:
  """Return the audio of a clip, without the gain and pan of its layer.

  With `song` and `file`, as in the clip's `url`, it may be kept for ever.
  `start` and `end` in seconds cut it.
  """
  cached, headers = _caching(request, number, song, file)
  if cached:
    return Response(status_code=304, headers=headers)
  sound = _studio(request).song.session.audio(number)
  data = sounds.wav(sounds.cut(sound, start, end))
  return Response(data, media_type="audio/wav", headers=headers)


@router.get("/clips/{number}/peaks", tags=["clips"])
def get_peaks(
  request: Request,
  response: Response,
  number: int,
  count: Annotated[int, Query(ge=1, le=20_000)] = 2000,
  song: str | None = None,
  file: str | None = None,
) -> Any:
  """Return the largest magnitudes of equal parts of a clip."""
  cached, headers = _caching(request, number, song, file)
  if cached:
    return Response(status_code=304, headers=headers)
  sound = _studio(request).song.session.audio(number)
  response.headers.update(headers)
  return {"peaks": sounds.peaks(sound, count), "seconds": sound.seconds}


@router.post("/undo", tags=["song"])
def undo(request: Request) -> JsonObject:
  """Return to the song before the last operation."""
  session = _studio(request).song.session
  if not session.can_undo:
    raise ConflictError("nothing to undo")
  session.undo()
  return _changed(_studio(request))


@router.post("/redo", tags=["song"])
def redo(request: Request) -> JsonObject:
  """Take back an undo."""
  session = _studio(request).song.session
  if not session.can_redo:
    raise ConflictError("nothing to redo")
  session.redo()
  return _changed(_studio(request))


@router.get("/mix.wav", tags=["song"], responses=cast(Any, _WAV))
def get_mix(
  request: Request, start: Seconds = 0.0, end: Seconds | None = None
) -> Response:
  """Return the mix of the audible layers; `start` and `end` cut it."""
  mix, _ = _studio(request).song.session.mix()
  data = sounds.wav(sounds.cut(mix, start, end))
  return Response(data, media_type="audio/wav")


@router.post("/export", tags=["song"])
def export(request: Request) -> JsonObject:
  """Write the layers, the mix and projects for DAWs to a zip file.

  `left_out` has the titles of layers without an accepted take.
  """
  song = _studio(request).song
  path = open_song.write_archive(song, song.session.folder / _EXPORTS)
  left_out = [titled(name) for name in song.session.song.undecided]
  return {
    "url": f"/export/{urllib.parse.quote(path.name)}",
    "left_out": left_out,
  }


@router.get("/export/{name}", tags=["song"])
def get_export(request: Request, name: str) -> FileResponse:
  """Return the zip file of the last export."""
  folder = _studio(request).song.session.folder
  path = folder / _EXPORTS / f"{folder.name}.zip"
  if name != path.name or not path.is_file():
    raise MissingError(f"no export {name[:100]!r}: export the song first")
  return FileResponse(path, filename=path.name, media_type="application/zip")


@router.post("/jobs", tags=["jobs"], status_code=202)
def add_job(
  request: Request, body: Annotated[bodies.Request, Body()]
) -> JsonObject:
  """Queue a job: generate, vary, regenerate, refresh or extend."""
  studio = _studio(request)
  song = studio.song
  layer = work.check(body, song.session, studio.loading.conditions)
  if isinstance(body, bodies.Extend):
    now = song.session.song
    bodies.check_size(body.seconds, now.sample_rate, now.channels)
  return job_as_json(song.queue.add(body, layer))


@router.get("/jobs", tags=["jobs"])
def get_jobs(request: Request) -> list[JsonObject]:
  """Return the jobs of the song, oldest first."""
  return _studio(request).jobs_json()


@router.get("/jobs/{id}", tags=["jobs"])
def get_job(request: Request, id: str) -> JsonObject:
  """Return a job."""
  return job_as_json(_studio(request).song.queue.job(id))


@router.delete("/jobs/{id}", tags=["jobs"])
def cancel_job(request: Request, id: str) -> JsonObject:
  """Cancel a job; takes that are finished stay."""
  return job_as_json(_studio(request).song.queue.cancel(id))


@router.get("/events", tags=["song"])
async def get_events(request: Request) -> StreamingResponse:
  """Stream the song and the jobs as server-sent events, at each change."""
  return StreamingResponse(
    _studio(request).events.stream(), media_type="text/event-stream"
  )


@router.get("/settings", tags=["song"])
def get_settings(request: Request) -> JsonObject:
  """Return instruments, presets, loops, and the state of the model."""
  return _studio(request).settings_json()


def _changed(studio: Studio) -> JsonObject:
  studio.changed("song")
  return studio.song_json()


def _caching(
  request: Request, number: int, id: str | None, file: str | None
) -> tuple[bool, dict[str, str]]:
  """Return whether the client has a clip, and headers for it."""
  song: OpenSong = _studio(request).song
  version = song.version(work.found_clip(song.session, number)[1])
  if id not in (None, song.id) or file not in (None, version):
    raise MissingError(f"take {number} is of another song")
  tag = f'"{song.id}-{number}-{version}-{request.url.query}"'
  how = _FOREVER if id and file else "private, no-cache"
  same = request.headers.get("if-none-match") == tag
  return same, {"etag": tag, "cache-control": how}
