"""The routes of the live tab: a websocket, its description, and keeping."""

import asyncio
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import numpy as np
import pydantic
from fastapi import APIRouter, Body, Request, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from stemgen_jax import categories
from stemgen_jax.live import pcm
from stemgen_jax.studio import live_plan, notices
from stemgen_jax.studio.errors import RequestError, text_of
from stemgen_jax.studio.jobs import StoppedError
from stemgen_jax.studio.live_bodies import (
  Keep,
  LiveChange,
  LiveMessage,
  LiveStart,
  LiveStop,
)
from stemgen_jax.studio.live_run import Block, LiveRun
from stemgen_jax.studio.live_stage import LiveStage

router = APIRouter()
_HEADER = struct.Struct("<qI")  # first sample and number of samples
_MOST_SAMPLES = 16_384  # of one block
_PATIENCE = 30.0  # seconds without a message, such as while a computer sleeps
_PARTING = 2.0  # seconds for the reason of the end
_BUSY = 1013  # codes of closed websockets
_UNUSABLE = 1008
_BUG = 1011
_MESSAGE = pydantic.TypeAdapter(LiveMessage)
_Result = TypeVar("_Result")
JsonObject = dict[str, Any]


def _described(schema: Any, parts: JsonObject) -> Any:
  """Return a JSON schema with its parts in place, as OpenAPI has no `$defs`."""
  if isinstance(schema, list):
    return [_described(each, parts) for each in schema]
  if not isinstance(schema, dict):
    return schema
  if "$ref" in schema:
    return _described(parts[schema["$ref"].rpartition("/")[2]], parts)
  left_out = ("$defs", "discriminator")
  return {
    name: _described(value, parts)
    for name, value in schema.items()
    if name not in left_out
  }


_MESSAGES = _MESSAGE.json_schema()


def _stage(connection: Request | WebSocket) -> LiveStage:
  return connection.app.state.live


@router.get(
  "/live",
  tags=["live"],
  openapi_extra={
    "responses": {
      "101": {
        "description": "a websocket; its JSON messages to the server",
        "content": {
          "application/json": {
            "schema": _described(_MESSAGES, _MESSAGES["$defs"])
          }
        },
      }
    }
  },
)
def get_live(request: Request) -> JsonObject:
  """Return whether a live run is on; as a websocket, play along.

  The first message of the client is `start`. The answer is `stage` while the
  model is prepared, then `started`, whose `next` is the first sample of the
  stream; the music begins with sample 0, after the count-in. Then the client
  asks for samples: binary messages of the first one (int64, little-endian) and
  their number (uint32), followed by as many samples of its input if that is
  `line` (float32, interleaved). Each is answered by the same header with the
  samples of the output. The client states the speed: it asks at the rate of its
  sound card, some blocks ahead.

  `change`, `sync` and `stop` may be sent at any time. `state` comes on every
  beat and after changes, with the `sample` from which it holds; its `events`
  name the bars where changes enter. `error` is a message that was refused;
  `ended` has the figures. One run is on at a time, and ends with its
  connection; jobs of the song wait for its end.
  """
  return _stage(request).as_json()


@router.post("/live/keep", tags=["live"])
def keep(request: Request, body: Annotated[Keep, Body()]) -> JsonObject:
  """Keep the latest live run: its layers in the song, or all as a song."""
  studio = request.app.state.studio
  with notices.collected() as found:
    kept = _stage(request).keep(body)
  studio.changed("song")
  return studio.song_json() | {"notices": found, "kept": kept}


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
  """Play along; see `get_live`."""
  stage = _stage(socket)
  await socket.accept()
  if not await run_in_threadpool(stage.take):
    await _refuse(
      socket, "a live run is on in another page: stop it first", _BUSY
    )
    return
  try:
    await _play(socket, stage)
  except WebSocketDisconnect:
    pass
  except (RequestError, ValueError, OSError, MemoryError) as error:
    stage.end()
    await _refuse(socket, text_of(error), _UNUSABLE)
  except Exception as error:
    stage.end()
    await _refuse(socket, text_of(error), _BUG)
  finally:
    stopped = _in_thread(stage.leave)
    await asyncio.shield(stopped)


async def _play(socket: WebSocket, stage: LiveStage) -> None:
  message = _parsed(await _soon(_receive(socket)))
  if not isinstance(message, LiveStart):
    raise RequestError("the first message: expected start")
  run, first = await _begin(socket, stage, message)
  await socket.send_json(run.started())
  while True:
    message = await _soon(first or _receive(socket))
    first = None
    if isinstance(message, bytes):
      start, out = _exchanged(run, message)
      answer = _HEADER.pack(start, len(out)) + out.astype("<f4").tobytes()
      await _read(socket.send_bytes(answer))
    else:
      try:
        parsed = _parsed(message)
        if isinstance(parsed, LiveStop):
          break
        if isinstance(parsed, LiveStart):
          raise RequestError("start: the run is on; stop it first")
        if isinstance(parsed, LiveChange):
          run.change(parsed)
        else:
          run.engine.resync()
      except (RequestError, ValueError) as error:
        refused = {"kind": "error", "error": text_of(error)}
        await _read(socket.send_json(refused))
    if news := run.news():
      await _read(socket.send_json(news))
    if run.ended:
      break
  stage.end()
  await socket.send_json({"kind": "ended", "state": run.state()})
  await socket.close()


async def _begin(
  socket: WebSocket, stage: LiveStage, start: LiveStart
) -> tuple[LiveRun, asyncio.Task | None]:
  """Return a run that is ready, and the next message, which is received."""
  studio, loop = socket.app.state.studio, asyncio.get_running_loop()
  if categories.kind_field(studio.loading.conditions) != "stem":
    raise RequestError(
      f"the weights {studio.loading.name} have no instruments: use others, or "
      "stemgen-jax live --role"
    )
  plan = await run_in_threadpool(live_plan.plan, start, studio.opened)
  stages: asyncio.Queue[str] = asyncio.Queue()
  gone, shown = threading.Event(), ""

  def check(text: str) -> None:
    nonlocal shown
    if gone.is_set():
      raise StoppedError
    if text and text != shown:
      shown = text
      loop.call_soon_threadsafe(stages.put_nowait, text)

  making = _in_thread(lambda: stage.begin(plan, check))
  receiving = asyncio.create_task(_receive(socket))
  try:
    while not making.done():
      staged = asyncio.create_task(stages.get())
      done, _ = await asyncio.wait(
        {making, receiving, staged}, return_when=asyncio.FIRST_COMPLETED
      )
      if staged in done:
        await socket.send_json({"kind": "stage", "stage": staged.result()})
      else:
        staged.cancel()
      if receiving in done and not making.done():
        _check_stop(receiving.result())
        gone.set()
        raise WebSocketDisconnect
    return making.result(), receiving
  except asyncio.CancelledError:  # the server ends
    gone.set()
    raise
  except Exception:
    gone.set()
    receiving.cancel()
    # Compilation cannot be interrupted; then the thread releases the model.
    await asyncio.wait({making})
    making.exception()
    raise


def _check_stop(message: str | bytes) -> None:
  if isinstance(message, bytes) or not isinstance(_parsed(message), LiveStop):
    raise RequestError("the run has not started yet: expected stop only")


def _exchanged(run: LiveRun, message: bytes) -> tuple[int, Block]:
  """Return the answer to a binary message: its first sample and samples."""
  if len(message) < _HEADER.size:
    raise RequestError(f"{len(message)} bytes: expected a header of 12")
  start, count = _HEADER.unpack_from(message)
  if not 1 <= count <= _MOST_SAMPLES:
    raise RequestError(f"{count} samples: expected 1 to {_MOST_SAMPLES}")
  channels, block = run.plan.channels, None
  size = len(message) - _HEADER.size
  expected = 0 if run.plan.sound is not None else 4 * count * channels
  if size != expected:
    raise RequestError(f"{size} bytes of samples: expected {expected}")
  if expected:
    block = np.frombuffer(message, "<f4", offset=_HEADER.size)
    block = pcm.usable(block).reshape(count, channels).astype(np.float32)
  return start, run.exchange(start, count, block)


async def _soon(message: Awaitable[str | bytes]) -> str | bytes:
  """Return a message; RequestError if it does not come."""
  try:
    async with asyncio.timeout(_PATIENCE):
      return await message
  except TimeoutError:
    raise RequestError(
      f"no message for {_PATIENCE:g} s: expected requests for samples"
    ) from None


async def _read(sending: Awaitable[None]) -> None:
  """Send a message; RequestError if the client does not read."""
  try:
    async with asyncio.timeout(_PATIENCE):
      await sending
  except TimeoutError:
    raise RequestError(
      f"answers were not read for {_PATIENCE:g} s: expected a client that reads"
    ) from None


async def _receive(socket: WebSocket) -> str | bytes:
  """Return the next message; WebSocketDisconnect at the end."""
  message = await socket.receive()
  if message["type"] == "websocket.disconnect":
    raise WebSocketDisconnect
  text, data = message.get("text"), message.get("bytes")
  return text if text is not None else data or b""


def _parsed(message: str | bytes) -> Any:
  if isinstance(message, bytes):
    raise RequestError("a binary message: expected JSON")
  return _MESSAGE.validate_json(message)


async def _refuse(socket: WebSocket, reason: str, code: int) -> None:
  try:
    async with asyncio.timeout(_PARTING):
      await socket.send_json({"kind": "refused", "error": reason})
      await socket.close(code)
  except (RuntimeError, TimeoutError, WebSocketDisconnect):
    pass  # the client has left, or does not read


def _in_thread(work: Callable[[], _Result]) -> "asyncio.Future[_Result]":
  """Run a function in a thread that does not outlive the process.

  Compilation cannot be interrupted.
  """
  loop = asyncio.get_running_loop()
  future: asyncio.Future[_Result] = loop.create_future()

  def settle(set_value: Callable[[Any], None], value: Any) -> None:
    if not future.done():
      set_value(value)

  def run() -> None:
    try:
      done = (future.set_result, work())
    except BaseException as error:
      done = (future.set_exception, error)
    if not loop.is_closed():
      loop.call_soon_threadsafe(settle, *done)

  threading.Thread(target=run, daemon=True).start()
  return future
