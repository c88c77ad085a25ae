"""Tests of HARP's protocol, by a client that speaks it as HARP's does."""

import io
import json
import time
import urllib.request

import numpy as np
import pytest
import soundfile
from pcm import RATE
from serving import PATIENCE

from stemgen_jax import audio, coherence
from stemgen_jax.studio import harp
from stemgen_jax.studio.errors import MissingError

# Random codes have a mean.
pytestmark = pytest.mark.filterwarnings("ignore:the context has a DC offset")


class HarpClient:
  """HARP's `GradioClient`: a POST for an id, and lines until an end."""

  def __init__(self, url):
    self.url, self.messages = url, []

  def open(self, path, data=None, kind="application/json"):
    headers = {"Accept": "*/*"} | ({"Content-Type": kind} if data else {})
    request = urllib.request.Request(self.url + path, data, headers)
    return urllib.request.urlopen(request, timeout=30)

  def upload(self, file):
    body = (
      b'--b\r\nContent-Disposition: form-data; name="files"; '
      b'filename="track.wav"\r\nContent-Type: audio/midi\r\n\r\n'
      + file.read_bytes()
      + b"\r\n--b--\r\n"
    )
    with self.open(
      "/gradio_api/upload", body, "multipart/form-data; boundary=b"
    ) as answer:
      (path,) = json.load(answer)
    return {"path": path, "meta": {"_type": "gradio.FileData"}}

  def start(self, name, data=()):
    body = json.dumps({"data": list(data)}).encode()
    with self.open(f"/gradio_api/call/{name}", body) as answer:
      return f"/gradio_api/call/{name}/{json.load(answer)['event_id']}"

  def result(self, path):
    """Return the name of the last event and its data."""
    kind = ""
    with self.open(path) as lines:
      for raw in lines:
        line = raw.decode().strip()
        if line.lower().startswith("event:"):
          kind = line.partition(":")[2].strip()
        elif line.startswith("data:"):
          value = json.loads(line.removeprefix("data:"))
          if kind in ("complete", "error"):
            return kind, value
          self.messages.append((kind, value))
    raise AssertionError("no end")

  def call(self, name, data=()):
    return self.result(self.start(name, data))


@pytest.fixture
def editor(client, monkeypatch):
  monkeypatch.setattr(coherence, "scorer", lambda context: lambda x: 0.5)
  return HarpClient(client.url)


def test_harp_gets_a_stem_for_a_track(editor, client, model, mix):
  kind, (controls,) = editor.call("controls")
  assert kind == "complete"
  assert set(controls["card"]) == {"name", "description", "author", "tags"}
  types = [one["type"] for one in controls["inputs"]]
  assert types == ["audio_track", "dropdown", "dropdown", "slider", "toggle"]
  assert [one["type"] for one in controls["outputs"]] == ["audio_track", "json"]
  choices = [value for _, value in controls["inputs"][1]["choices"]]
  track = editor.upload(mix)
  assert "piano" in choices
  # As HARP sends it: a number of a slider is floating-point.
  kind, (stem, labels) = editor.call(
    "process", [track, "piano", "fast", 3.0, False]
  )
  assert kind == "complete"
  assert stem["meta"] == {"_type": "gradio.FileData"}
  assert stem["url"].startswith(f"{client.url}/")
  with editor.open(stem["url"].removeprefix(client.url)) as answer:
    samples, rate = soundfile.read(io.BytesIO(answer.read()))
  preset = harp.preset("fast")
  take = model.generate(audio.read(mix), "piano", seed=3, settings=preset)
  np.testing.assert_allclose(samples, take.audio.samples[:, 0], atol=3e-7)
  assert rate == RATE
  assert labels["meta"] == {"_type": "pyharp.LabelList"}
  assert labels["labels"][0]["label"] == "fits 0.50"
  assert any(kind == "log" for kind, _ in editor.messages)
  assert not client.get("/song")["started"]
  assert not client.studio.folder.exists()


def test_bars_are_labels(editor, tmp_path):
  clicks = np.zeros((8 * RATE, 1), np.float32)
  for beat in range(16):
    clicks[beat * RATE // 2 :][:200] = 0.5
  audio.write(tmp_path / "clicks.wav", audio.Audio(clicks, RATE))
  track = editor.upload(tmp_path / "clicks.wav")
  values = [track, "bass", "fast", 0, False]
  _, (_, labels) = editor.call("process", values)
  bars = [x for x in labels["labels"] if x["label"].isdecimal()]
  assert len(bars) == 4
  assert abs(bars[1]["duration"] - 2) < 0.05
  assert {x["label_type"] for x in bars} == {"AudioLabel"}


def test_cancel_stops_at_the_next_step(editor, steps, mix):
  steps.hold()
  track = editor.upload(mix)
  calls = [
    editor.start("process", [track, "bass", "fast", seed, False])
    for seed in range(2)
  ]
  steps.release(2)
  assert editor.call("cancel") == ("complete", [])
  steps.release(1)
  for call in calls:
    assert editor.result(call) == ("error", {"error": "cancelled"})
  assert steps.taken <= 3


def test_calls_in_work_are_few_and_are_not_forgotten(
  editor, client, steps, mix
):
  steps.hold()
  values = [editor.upload(mix), "bass", "fast", 0, False]
  calls = [editor.start("process", values) for _ in range(4)]
  found = client.call(
    "POST", "/gradio_api/call/process", 429, json={"data": values}
  )
  assert found.json()["error"].startswith("4 calls are in progress")
  for _ in range(20):
    editor.start("controls")
  assert editor.call("cancel") == ("complete", [])
  steps.free()
  for call in calls:
    assert editor.result(call) == ("error", {"error": "cancelled"})


def test_a_heartbeat_is_sent_while_nothing_happens(
  editor, steps, mix, monkeypatch
):
  monkeypatch.setattr(harp, "_HEARTBEAT", 0.1)
  steps.hold()
  track = editor.upload(mix)
  call = editor.start("process", [track, "bass", "fast", 0, False])
  with editor.open(call) as lines:
    assert any(b"event: heartbeat" in line for line in lines)
  steps.free()
  assert editor.result(call)[0] == "complete"


def test_values_are_checked(editor, client, mix):
  track = editor.upload(mix)
  for place, value, message in (
    (0, None, "expected context, category"),
    (0, {"path": "../../etc/passwd"}, "no file '../../etc/passwd'"),
    (0, {"path": 3}, "context.path"),
    (1, "basz", "did you mean bass"),
    (2, "best", "paper"),
    (3, -1, "seed"),
    (3, "x", "seed"),
    (4, "perhaps", "loop"),
  ):
    data = [track, "bass", "fast", 0, False]
    data[place] = value
    found = client._session.post(
      f"{client.url}/gradio_api/call/process", json={"data": data}, timeout=30
    )
    assert found.status_code in (400, 404, 422)
    assert message in found.json()["error"]
  client.call("GET", "/gradio_api/file/nothing.wav", 404)
  client.call("GET", "/gradio_api/call/process/nothing", 404)
  client.post("/gradio_api/call/other", {"data": []}, 422)


def test_old_sounds_are_forgotten(client, monkeypatch):
  monkeypatch.setattr(harp, "_MOST_SOUNDS", 2)
  calls = harp.Harp(client.studio)
  first, second, third = map(calls.keep, (b"a", b"b", b"c"))
  assert (calls.sound(second, bytes), calls.sound(third, bytes)) == (b"b", b"c")
  with pytest.raises(MissingError, match="send it again"):
    calls.sound(first, bytes)
  with pytest.raises(MissingError, match="send it again"):
    calls.sound(third, audio.Audio)
  monkeypatch.setattr(harp, "_KEPT_BYTES", 4)
  large = audio.Audio(np.zeros((2, 1), np.float32), RATE)
  fourth = calls.keep(large)
  assert calls.sound(fourth, audio.Audio) is large
  with pytest.raises(MissingError, match="send it again"):
    calls.sound(third, bytes)
  monkeypatch.setattr(harp, "_KEPT_SECONDS", 0.01)
  last = calls.keep(b"a")
  ends = time.monotonic() + PATIENCE
  while last in calls._sounds and time.monotonic() < ends:
    time.sleep(0.01)
  with pytest.raises(MissingError, match="send it again"):
    calls.sound(last, bytes)
  calls.close()
