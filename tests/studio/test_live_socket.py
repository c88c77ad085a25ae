"""The websocket of the live tab, without a browser."""

import contextlib
import json
import socket
import struct
from typing import Any

import numpy as np
import pytest
from pcm_model import music
from serving import PATIENCE, until
from test_safety import FOREIGN
from websockets.sync.client import connect

from stemgen_jax.live.line import FADE
from stemgen_jax.session import Session

HEADER = struct.Struct("<qI")
BAR = 16_000  # samples of the loop, a bar of 2 s
START = {"kind": "start", "input": "song", "layers": [{"stem": "bass"}]}
LINE = START | {"input": "line", "sample_rate": 8000, "channels": 1, "bpm": 120}


class Player:
  """A client of the websocket.

  Attributes:
    out: the samples so far, from the count-in on.
    states: the states so far.
    events: what happened, in lines.
  """

  def __init__(self, client, line):
    self._client, self._socket = client, line
    self.out, self.states, self.events = [], [], []

  def send(self, **message):
    self._socket.send(json.dumps(message))

  def receive(self, kind) -> dict[str, Any]:
    """Return the next message of a kind."""
    return self._receive(kind)

  def _receive(self, kind) -> Any:
    while True:
      message = self._socket.recv(timeout=PATIENCE)
      if isinstance(message, bytes):
        assert kind == "samples"
        return message
      found = json.loads(message)
      if found["kind"] == "state":
        self.states.append(found)
        self.events += found["events"]
      if found["kind"] == kind:
        return found
      assert found["kind"] in ("state", "stage"), found

  def start(self, **given):
    self.send(**START | {"bpm": 120} | given)
    self.begun = self.receive("started")
    self.next = self.begun["next"]
    return self.begun

  def pull(self, count, block=b""):
    """Ask for samples; check that they are the next ones."""
    self._socket.send(HEADER.pack(self.next, count) + block)
    answer = self._receive("samples")
    start, got = HEADER.unpack_from(answer)
    samples = np.frombuffer(answer, "<f4", offset=HEADER.size)
    samples = samples.reshape(got, self.begun["channels"])
    assert start == self.next
    self.next += got
    self.out.append(samples[:, 0])
    # The generator is as fast as needed.
    worker = self._client.live.run._worker
    until(lambda: worker.busy == len(worker._done))
    return got

  def play(self, to, size=1000):
    """Pull up to a sample."""
    while self.next < to:
      count = min(size, to - self.next)
      assert self.pull(count) == count

  @property
  def sound(self):
    """The samples since the count-in."""
    return np.concatenate(self.out)[-self.begun["next"] :]


@contextlib.contextmanager
def player(client):
  address = client.url.replace("http", "ws") + "/live"
  with connect(address, proxy=None) as line:
    yield Player(client, line)


@pytest.fixture
def looped(client):
  """A client whose song is a loop of one bar."""
  client.studio.start(
    lambda folder: Session.create(folder, music(2.0), name="mix", loop=True)
  )
  return client


def bar_of(events, text):
  [found] = [x for x in events if x.endswith(text)]
  return int(found.removeprefix("bar ").partition(":")[0])


def test_layers_enter_and_change_at_the_stated_bars(looped):
  loop = looped.studio.song.session.mix()[0].samples[:, 0]
  with player(looped) as live:
    begun = live.start(count_in=1)
    assert (begun["next"], begun["bars"], begun["loop"]) == (-BAR, 1, True)
    live.play(0, size=777)
    clicks = np.concatenate(live.out)
    assert [int(np.abs(x).argmax() > 0) for x in np.split(clicks, 4)] == [1] * 4
    live.play(3 * BAR + 500)
    live.send(kind="change", layer="bass", mute=True)
    live.play(5 * BAR + 4000, size=16_384)
    live.send(kind="change", layer="bass", mute=False)
    live.play(7 * BAR + 100)
    live.send(kind="change", layer="bass", again=True, guidance=3.0)
    live.play(11 * BAR)
    muted = bar_of(live.events, "bass muted")
    unmuted = bar_of(live.events, "bass unmuted")
    again = bar_of(live.events, "bass: guidance 3.0, seed 1")
    assert (muted, unmuted) == (5, 7)
    assert again in (9, 10)
    live.send(kind="stop")
    ended = live.receive("ended")["state"]
  sound, fade = live.sound, FADE
  assert len(sound) == 11 * BAR == ended["sample"]
  bass = sound - np.resize(loop, len(sound))
  assert not bass[:BAR].any()  # it enters in bar 2
  one = bass[2 * BAR : 3 * BAR]
  assert np.abs(one).mean() > 1e-3
  np.testing.assert_allclose(bass[3 * BAR : 4 * BAR], one, atol=1e-6)
  assert not bass[4 * BAR + fade : 6 * BAR].any()
  np.testing.assert_allclose(
    bass[6 * BAR + fade : 7 * BAR], one[fade:], atol=1e-6
  )
  last = (again - 1) * BAR
  np.testing.assert_allclose(bass[last - 1000 : last], one[-1000:], atol=1e-6)
  other = bass[last + fade : last + BAR]
  assert np.abs(other - one[fade:]).mean() > 1e-3
  assert ended["late"] == 0
  assert ended["hit_rate"] == 1
  assert ended["layers"][0]["sounds"] == {
    "bar": again,
    "stem": "bass",
    "seed": 1,
  }
  beats = [(x["bar"], x["beat"]) for x in live.states if x["sample"] < BAR]
  expected = [(None, 1), (None, 2), (None, 3), (None, 4)]
  expected += [(1, 1), (1, 2), (1, 3), (1, 4)]
  assert list(dict.fromkeys(beats)) == expected
  assert {"dtype", "p50", "p95", "p99", "slack", "passes"} < ended.keys()


def test_what_was_played_is_kept(looped, folder, monkeypatch):
  assert looped.get("/live")["state"] is None
  looped.post("/live/keep", {"what": "layers"}, 409)
  with player(looped) as live:
    live.start(layers=[{"stem": "bass"}, {"stem": "piano", "seed": 5}])
    live.play(0)
    looped.post("/live/keep", {"what": "layers"}, 409)
    live.play(100)
    looped.post("/live/keep", {"what": "performance"}, 400)
    assert looped.studio.opened is not None
    live.play(4 * BAR)
    bass = live.sound[BAR + FADE : 2 * BAR]
    live.send(kind="stop")
    live.receive("ended")
  loop = looped.studio.song.session.mix()[0].samples[:, 0]
  until(lambda: not looped.live.playing)
  song = looped.post("/live/keep", {"what": "layers"})
  assert song["kept"] == ["bass", "piano"]
  names = [(x["name"], x["category"]) for x in song["layers"]]
  assert names == [("mix", ""), ("bass", "bass"), ("piano", "piano")]
  [clip] = song["layers"][2]["clips"]
  assert (clip["seed"], clip["own"], clip["origin"]) == (5, False, "live")
  session = looped.studio.song.session
  kept = session.layer_audio("bass").samples[FADE:, 0]
  np.testing.assert_allclose(kept, bass - loop[FADE:], atol=1e-4)
  # A kept layer is a take, which can be varied.
  id = looped.post("/jobs", {"kind": "vary", "clip": clip["number"]}, 202)["id"]
  assert looped.wait(id)["state"] == "done"

  with monkeypatch.context() as full:
    full.setattr(Session, "add_audio", lambda *_, **__: folder.read_bytes())
    looped.post("/live/keep", {"what": "performance"}, 500)
  assert looped.get("/song")["name"] == "song"  # it stays open
  song = looped.post("/live/keep", {"what": "performance"})
  assert (song["name"], song["loop"]) == ("song-3", False)
  assert song["seconds"] == 4 * BAR / 8000
  titles = [layer["title"] for layer in song["layers"]]
  assert titles == ["Loop", "Bass, live", "Piano, live"]
  mix = looped.studio.song.session.mix()[0].samples[:, 0]
  np.testing.assert_allclose(mix, live.sound, atol=1e-4)
  assert looped.get("/live")["can_keep"] == ["performance"]
  looped.post("/live/keep", {"what": "layers"}, 409)


def handshake(client, **headers):
  """The answer to a request for a websocket, with headers as they are."""
  port = int(client.url.rpartition(":")[2])
  given = {
    "host": f"127.0.0.1:{port}",
    "upgrade": "websocket",
    "connection": "upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  } | headers
  lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
  with socket.create_connection(("127.0.0.1", port), timeout=9) as line:
    line.sendall(f"GET /live HTTP/1.1\r\n{lines}\r\n".encode())
    return line.recv(4096).decode()


def test_other_sites_cannot_play(looped):
  for headers, reason in FOREIGN:
    if "@" in headers.get("host", ""):
      headers = headers | {"origin": looped.url}  # is not that host
    answer = handshake(looped, **headers)
    assert answer.startswith("HTTP/1.1 403 "), headers
    assert reason in answer
  assert not looped.live.playing
  assert handshake(looped, origin=looped.url).startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize("lag", [0, 600])
def test_an_input_is_answered_sample_by_sample(client, lag):
  rng = np.random.default_rng(0)
  with player(client) as live:
    live.start(**LINE | {"bars": 1, "lag": lag, "count_in": 0})
    blocks = []
    while live.next < 6 * BAR:
      block = rng.normal(0, 0.1, 1000).astype("<f4")
      blocks.append(block)
      assert live.pull(1000, block.tobytes()) == 1000
    live.send(kind="stop")
    ended = live.receive("ended")["state"]
  sound = live.sound
  assert not sound[: 2 * BAR].any()  # a bar of context, a bar of slack
  assert np.abs(sound[3 * BAR :]).mean() > 1e-3
  assert ended["late"] == 0
  assert ended["layers"][0]["sounds"]["bar"] == 6
  run = client.live.run
  request = run.engine.layers["bass"].ring
  np.testing.assert_array_equal(
    request.read(5000 - lag, 6000 - lag)[:, 0], blocks[5]
  )
  song = client.post("/live/keep", {"what": "performance"})
  assert song["seconds"] == (6 * BAR - lag) / 8000
  mine = client.studio.song.session.layer_audio("input").samples[:, 0]
  np.testing.assert_allclose(mine, np.concatenate(blocks)[lag:], atol=1e-4)


def test_the_tempo_of_an_input_is_detected_and_taken_over(client):
  rng = np.random.default_rng(0)
  burst = rng.normal(0, 0.3, 160).astype("<f4")
  sound = np.zeros(12 * 8000, "<f4")
  for beat in np.arange(0.2, 11.9, 60 / 110):
    sound[round(8000 * beat) :][:160] = burst
  with player(client) as live:
    begun = live.start(**LINE | {"bpm": None, "bars": 1})
    assert (begun["next"], begun["state"]["bar"]) == (0, None)
    for block in np.split(sound, 12):
      live.pull(8000, block.tobytes())
    live.send(kind="sync")
    live.pull(8000, bytes(32_000))
    live.pull(8000, bytes(32_000))
  assert any(x.startswith("tempo 110") for x in live.events)
  assert live.states[-1]["bpm"] == pytest.approx(110, abs=0.5)
  assert live.states[-1]["bar"] > 4
  assert "sync: no clear tempo was detected yet" in live.events


def test_a_song_plays_to_its_end(started, model):
  with player(started) as live:
    live.start(bars=1, slack=1, bpm=240, count_in=0)
    assert live.pull(3000) == 3000
    assert live.pull(3000) == 1000  # 0.5 s
    state = live.receive("ended")["state"]
  mix = started.studio.song.session.mix()[0].samples[:, 0]
  np.testing.assert_array_equal(live.sound, mix)
  assert (state["sample"], state["recorded"]) == (4000, 0.5)


BAD = [
  ({"layers": []}, "layers"),
  ({"layers": [{"stem": "kazoo"}]}, "kazoo"),
  ({"layers": [{"stem": "bass", "genre": "techno"}]}, "no condition genre"),
  ({"preset": "x"}, "unknown preset 'x'"),
  ({"slack": 9}, "`slack`=9"),
  ({"bpm": 100}, "expected whole bars of 4"),
  ({"sample_rate": 1}, "sample_rate"),
  ({"more": 1}, "more"),
  (LINE | {"bars": 64, "bpm": 20}, "`bars`=64: chunks of 768 s"),
]


@pytest.mark.parametrize(("given", "reason"), BAD, ids=lambda x: str(x)[:30])
def test_a_run_that_cannot_start_is_refused_in_a_line(looped, given, reason):
  with player(looped) as live:
    live.send(**START | {"bpm": 120} | given)
    error = live.receive("refused")["error"]
  assert reason in error
  assert "\n" not in error
  until(lambda: not looped.live.playing)


def test_weights_without_instruments_are_refused(looped, monkeypatch):
  conditions = property(lambda _: ("genre", "role"))
  monkeypatch.setattr(type(looped.studio.loading), "conditions", conditions)
  with player(looped) as live:
    live.send(**START, bpm=120)
    assert "have no instruments: use others" in live.receive("refused")["error"]


def test_messages_that_are_refused_in_a_run(looped):
  with player(looped) as live:
    live.start()
    for message, reason in (
      ({"kind": "change", "layer": "x", "mute": True}, "layer 'x'"),
      ({"kind": "change", "layer": "bass", "stem": "kazoo"}, "kazoo"),
      ({"kind": "change", "layer": "bass", "stem": ""}, "stem"),
      ({"kind": "change", "layer": "bass", "seed": -1}, "seed"),
      ({"kind": "change", "layer": "bass", "genre": "techno"}, "genre"),
      ({"kind": "start"} | START, "the run is on"),
      ({"kind": "x"}, "'x'"),
    ):
      live.send(**message)
      assert reason in live.receive("error")["error"]
    live.send(kind="sync")
    live.play(2000)
    assert "sync: a loop has its own tempo" in live.events
    live._socket.send(HEADER.pack(0, 1000))
    error = live.receive("refused")["error"]
    assert error == f"sample 0: expected {live.next}, the next one"
  until(lambda: not looped.live.playing)
  with player(looped) as live:
    live.send(kind="stop")
    assert "expected start" in live.receive("refused")["error"]
  for message, reason in (
    (b"x", "expected a header"),
    (HEADER.pack(-BAR, 0), "0 samples: expected 1"),
    (HEADER.pack(-BAR, 2) + b"a" * 8, "8 bytes of samples: expected 0"),
  ):
    until(lambda: not looped.live.playing)
    with player(looped) as live:
      live.start()
      live._socket.send(message)
      assert reason in live.receive("refused")["error"]
