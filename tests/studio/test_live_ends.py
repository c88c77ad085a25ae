"""The ends of live runs, and what waits for them."""

import pytest
from pcm_model import music
from serving import serving, until
from test_live_socket import BAR, HEADER, START, looped, player
from websockets.exceptions import ConnectionClosed

from stemgen_jax.session import Session
from stemgen_jax.studio import live_routes

__all__ = ["looped"]


def test_one_plays_at_a_time_and_jobs_wait_for_it(looped, steps):
  with player(looped) as live:
    live.start()
    live.play(2 * BAR)
    with player(looped) as other:
      assert "in another page" in other.receive("refused")["error"]
      with pytest.raises(ConnectionClosed):
        other.receive("")
    job = looped.generate()
    until(lambda: "live run" in looped.get(f"/jobs/{job}")["stage"])
    taken = steps.taken
    live.play(3 * BAR)
    assert steps.taken == taken
    assert looped.get("/live")["playing"]
    # It closes in the middle, while a chunk is being generated.
    steps.hold()
    live.send(kind="change", layer="bass", again=True)
    live._socket.send(HEADER.pack(live.next, 100))
    until(lambda: looped.live.run._worker.busy)
  steps.free()
  assert looped.wait(job)["state"] == "done"
  until(lambda: not looped.get("/live")["playing"])
  with player(looped) as live:
    live.start()
    live.play(BAR)


def test_the_next_run_waits_for_a_chunk_of_the_last(looped, steps):
  with player(looped) as live:
    live.start()
    live.play(2 * BAR)
    steps.hold()
    live.send(kind="change", layer="bass", again=True)
    live._socket.send(HEADER.pack(live.next, 100))
    live._receive("samples")
    until(lambda: looped.live.run._worker.busy)
    live.send(kind="stop")
    live.receive("ended")
    assert not looped.get("/live")["playing"]
    with player(looped) as other:
      other.send(**START | {"bpm": 120})
      steps.free()
      other.receive("started")


def test_a_client_that_asks_for_nothing_leaves_its_place(looped, monkeypatch):
  monkeypatch.setattr(live_routes, "_PATIENCE", 0.2)
  with player(looped) as live:
    assert "no message for 0.2 s" in live.receive("refused")["error"]
  until(lambda: not looped.live.playing)
  with player(looped) as live:
    live.start()
    assert "no message for 0.2 s" in live.receive("refused")["error"]
  until(lambda: not looped.live.playing)


def test_a_client_that_does_not_read_leaves_its_place(looped, monkeypatch):
  with player(looped) as live:
    live.start(count_in=0)
    live._socket.close_timeout = 0.1  # of this client
    monkeypatch.setattr(live_routes, "_PATIENCE", 0.3)
    monkeypatch.setattr(live_routes, "_PARTING", 0.1)
    for number in range(400):
      live._socket.send(HEADER.pack(number * 16_384, 16_384))
    until(lambda: not looped.live.playing)
    assert looped.live.run.next < 400 * 16_384  # more than buffers hold


def test_the_end_of_the_server_ends_the_run(folder, model):
  with serving(folder, model) as client:
    client.studio.start(
      lambda folder: Session.create(folder, music(2.0), loop=True)
    )
    with player(client) as live:
      live.start()
      live.play(100)
      client.stop()
      with pytest.raises(ConnectionClosed):
        live.receive("")
