"""HARP: generate stems for the tracks of that editor, by its HTTP protocol.

HARP (github.com/TEAMuP-dev/HARP) talks to models as it does to Gradio: a call
is a POST, which answers with the id of an event, and a stream of server-sent
events with that id. The protocol is that of HARP's `GradioClient`.
"""

import asyncio
import concurrent.futures
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from stemgen_jax import categories
from stemgen_jax.audio import Audio, tempo
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.sampling import PRESETS, preset
from stemgen_jax.session import ranking
from stemgen_jax.studio import sounds, uploads
from stemgen_jax.studio.errors import (
  BusyError,
  MissingError,
  RequestError,
  text_of,
)
from stemgen_jax.studio.jobs import StoppedError
from stemgen_jax.studio.loading import Loading
from stemgen_jax.studio.studio import Studio

router = APIRouter(prefix="/gradio_api", tags=["HARP"])

_MOST_SOUNDS = 8  # uploads and results; older ones are forgotten
_MOST_EVENTS = 16
_KEPT_BYTES = 1 << 30  # of sounds
_KEPT_SECONDS = 600.0
_MOST_PENDING = 4  # calls that wait or run; each has its track in memory
_HEARTBEAT, _POLL = 15.0, 0.1  # seconds
_BEATS = 4  # in a bar
_COLOR = 0x80F58518  # alpha, red, green, blue
_MOST_SEED = 1000  # of the slider

Call = Literal["controls", "process", "cancel"]


class Arguments(BaseModel):
  """The body of a call: values in the order of the controls."""

  data: Annotated[list[Any], Field(max_length=16)] = []


class _File(BaseModel):
  path: Annotated[str, Field(max_length=100)]


class _Values(BaseModel):
  """Values of the controls."""

  context: _File
  category: Annotated[str, Field(max_length=100)]
  preset: Annotated[str, Field(max_length=100)]
  seed: Annotated[int, Field(ge=0, le=_MOST_SEED)]
  loop: bool


class Event:
  """A call, and its result.

  Attributes:
    message: progress for display.
    result: values for the client, once there are some.
    error: why there will be none.
  """

  def __init__(self) -> None:
    self.message, self.error = "", ""
    self.result: list[Any] | None = None
    self._stopped = threading.Event()

  @property
  def ended(self) -> bool:
    """Whether there is a result or an error."""
    return self.result is not None or bool(self.error)

  def stop(self) -> None:
    """End the call at its next step."""
    self._stopped.set()

  def check(self) -> None:
    """Raise StoppedError if the call has to end."""
    if self._stopped.is_set():
      raise StoppedError


class Harp:
  """Calls of HARP, one after the other, and their sounds.

  Sounds are kept in memory for some minutes: HARP reads each of them soon.
  """

  def __init__(self, studio: Studio):
    """Generate with the model of a studio."""
    self._loading: Loading = studio.loading
    self._studio = studio
    self._worker = concurrent.futures.ThreadPoolExecutor(1)
    self._lock = threading.Lock()  # of the two below
    self._sounds: dict[str, tuple[Any, threading.Timer]] = {}  # oldest first
    self._events: dict[str, Event] = {}  # oldest first

  def close(self) -> None:
    """End all calls."""
    self.cancel()
    self._worker.shutdown(wait=False, cancel_futures=True)
    for name in list(self._sounds):
      self._forget(name)

  def keep(self, sound: Audio | bytes) -> str:
    """Keep a sound, and return its name."""
    name = f"{secrets.token_hex(8)}.wav"
    timer = threading.Timer(_KEPT_SECONDS, self._forget, [name])
    timer.daemon = True
    with self._lock:
      self._sounds[name] = sound, timer
      timer.start()
      sizes = [_bytes(kept) for kept, _ in self._sounds.values()]
      names = list(self._sounds)
    # The newest is kept even if it alone is larger.
    for i, old in enumerate(names[:-1]):
      if len(names) - i > _MOST_SOUNDS or sum(sizes[i:]) > _KEPT_BYTES:
        self._forget(old)
    return name

  def sound(self, name: str, kind: type) -> Any:
    """Return a sound by its name; raise MissingError without one."""
    found, _ = self._sounds.get(name, (None, None))
    if not isinstance(found, kind):
      raise MissingError(f"no file {name[:100]!r}: send it again")
    return found

  def event(self, id: str) -> Event:
    """Return a call by its id; raise MissingError without one."""
    found = self._events.get(id)
    if found is None:
      raise MissingError(f"no event {id[:100]!r}")
    return found

  def call(self, name: Call, data: list[Any], url: str) -> str:
    """Start a call, and return the id of its event.

    Args:
      name: name of the call.
      data: its values.
      url: address of this server.

    Raises:
      BusyError: too many calls wait.
      RequestError, ValueError: the values are not as the controls describe.
    """
    event, id = Event(), secrets.token_hex(8)
    request: GenerationRequest | None = None
    match name:
      case "controls":
        event.result = [self._controls()]
      case "cancel":
        self.cancel()
        event.result = []
      case "process":
        request = self._request(data, event)
    with self._lock:
      ended = [old for old, x in self._events.items() if x.ended]
      pending = len(self._events) - len(ended)
      if request is not None and pending >= _MOST_PENDING:
        raise BusyError(
          f"{pending} calls are in progress: wait, or cancel them"
        )
      for old in ended[: max(0, len(self._events) + 1 - _MOST_EVENTS)]:
        del self._events[old]
      self._events[id] = event
    if request is not None:
      self._worker.submit(self._process, event, request, url)
    return id

  def cancel(self) -> None:
    """End all calls, each at its next step; jobs of the song continue."""
    with self._lock:
      events = list(self._events.values())
    for event in events:
      event.stop()

  def _forget(self, name: str) -> None:
    with self._lock:
      _, timer = self._sounds.pop(name, (None, None))
    if timer is not None:
      timer.cancel()

  def _controls(self) -> dict[str, Any]:
    settings = self._studio.settings_json()
    instruments = [
      [x["title"] + ("" if x["known"] else " (untrained)"), x["category"]]
      for x in settings["instruments"]
    ]
    card = {
      "name": "stemgen-jax",
      "description": "Generates a stem that fits the track.",
      "author": "stemgen-jax",
      "tags": ["accompaniment", "stem"],
    }
    track = {"type": "audio_track", "required": True}
    return {
      "card": card,
      "inputs": [
        {**track, "label": "Music", "info": "The music of the stem."},
        {
          "type": "dropdown",
          "label": "Instrument",
          "info": "",
          "choices": instruments,
          "value": "bass",
        },
        {
          "type": "dropdown",
          "label": "Preset",
          "info": "fast, or the best quality",
          "choices": [[name, name] for name in PRESETS],
          "value": "default",
        },
        {
          "type": "slider",
          "label": "Seed",
          "info": "Another seed gives another stem.",
          "minimum": 0,
          "maximum": _MOST_SEED,
          "step": 1,
          "value": 0,
        },
        {
          "type": "toggle",
          "label": "Loop",
          "info": "The music is one period of a loop.",
          "value": False,
        },
      ],
      "outputs": [
        {**track, "label": "Stem", "info": ""},
        {"type": "json", "label": "Bars", "info": ""},
      ],
    }

  def _request(self, data: list[Any], event: Event) -> GenerationRequest:
    names = list(_Values.model_fields)
    if len(data) != len(names) or data[0] is None:
      raise RequestError(f"{len(data)} values: expected {', '.join(names)}")
    values = _Values.model_validate(dict(zip(names, data)))

    def report(steps: int, total: int) -> None:
      nonlocal done
      event.check()
      done += steps
      event.message = f"{100 * done // total} %"

    done = 0
    conditions = self._loading.conditions
    kind = categories.parse_kind(values.category, conditions)
    given: dict[str, Any] = {categories.kind_field(conditions): kind}
    request = GenerationRequest(
      context=self.sound(values.context.path, Audio),
      **given,
      seeds=[values.seed],
      loop=values.loop,
      settings=preset(values.preset),
      progress=report,
    )
    return request.validate()

  def _process(
    self, event: Event, request: GenerationRequest, url: str
  ) -> None:
    def check(stage: str) -> None:
      event.check()
      event.message = stage or "preparing"

    try:
      with self._loading.used(check) as model:
        [take] = model.run(request)
      event.check()
      context = request.sound
      assert context is not None
      fit = ranking.fit_to(context)(take)
      name = self.keep(sounds.wav(take.audio))
      event.result = [
        {
          "path": name,
          "url": f"{url}/gradio_api/file/{name}",
          "orig_name": f"{take.name}.wav",
          "meta": {"_type": "gradio.FileData"},
        },
        {
          "meta": {"_type": "pyharp.LabelList"},
          "labels": _labels(context, fit),
        },
      ]
    except StoppedError:
      event.error = "cancelled"
    except Exception as error:
      event.error = text_of(error)


def _bytes(sound: Audio | bytes) -> int:
  return sound.samples.nbytes if isinstance(sound, Audio) else len(sound)


def _labels(context: Audio, fit: float | None) -> list[dict[str, Any]]:
  """Return labels of the bars, and how well the stem fits."""
  labels = []
  if fit is not None:
    labels.append((0.0, 0.0, f"fits {fit:.2f}"))
  found = tempo.of(context)
  if found.confidence >= tempo.CLEAR:
    bar = _BEATS * 60 / found.bpm
    for number, beat in enumerate(found.beats[::_BEATS], 1):
      labels.append((float(beat), bar, f"{number}"))
  return [
    {
      "label_type": "AudioLabel",
      "t": start,
      "duration": seconds,
      "label": text,
      "color": _COLOR,
    }
    for start, seconds, text in labels
  ]


async def _stream(event: Event) -> AsyncIterator[str]:
  shown, beat = "", time.monotonic()
  ended = False
  while not ended:
    await asyncio.sleep(_POLL)
    ended = event.ended
    if event.message != shown:
      shown, beat = event.message, time.monotonic()
      yield _sent("log", {"log": shown, "level": "info"})
    elif time.monotonic() - beat > _HEARTBEAT:
      beat = time.monotonic()
      yield _sent("heartbeat", None)
  if event.error:
    yield _sent("error", {"error": event.error})
  else:
    yield _sent("complete", event.result)


def _sent(event: str, value: Any) -> str:
  return f"event: {event}\ndata: {json.dumps(value)}\n\n"


@router.post("/upload")
async def upload(request: Request) -> list[str]:
  """Receive a file of HARP, in the field `files`; return its name."""
  folder = request.app.state.studio.folder
  async with uploads.decoded(request, folder, file="files") as found:
    return [request.app.state.harp.keep(found.sound)]


@router.post("/call/{name}")
def call(request: Request, name: Call, body: Arguments) -> dict[str, str]:
  """Start a call of HARP; return the id of its event."""
  url = str(request.base_url).rstrip("/")
  harp: Harp = request.app.state.harp
  return {"event_id": harp.call(name, body.data, url)}


@router.get("/call/{name}/{id}")
async def result(request: Request, name: Call, id: str) -> StreamingResponse:
  """Stream the events of a call of HARP: `complete` or `error` at the end."""
  event = request.app.state.harp.event(id)
  return StreamingResponse(_stream(event), media_type="text/event-stream")


@router.get("/file/{name}")
def file(request: Request, name: str) -> Response:
  """Return the audio of a result for HARP."""
  data = request.app.state.harp.sound(name, bytes)
  return Response(data, media_type="audio/wav")
