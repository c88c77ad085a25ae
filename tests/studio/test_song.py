"""Tests of the routes of the song, its layers and its clips."""

import concurrent.futures
import dataclasses
import io
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from pcm import RATE
from pcm_model import music
from serving import serving

from stemgen_jax import audio, whole_files
from stemgen_jax.session import Session
from stemgen_jax.session.export import export
from stemgen_jax.studio import facts

# Random codes have a mean.
pytestmark = pytest.mark.filterwarnings("ignore:the context has a DC offset")


def layers(song):
  return [layer["name"] for layer in song["layers"]]


def test_a_song_is_started_from_a_loop(client):
  before = client.get("/song")
  assert (before["started"], before["layers"]) == (False, [])
  assert client.get("/settings")["loops"] == ["chords", "drums"]
  song = client.post("/song", {"loop": "drums"})
  assert song["loop"]
  assert song["sample_rate"] == 44_100
  assert (song["seconds"], song["notices"]) == (8.0, [])
  with client.events() as stream:  # detection may take longer than the start
    tempo = next(
      value["tempo"]
      for name, value in stream
      if name == "song" and value["tempo"]
    )
  assert (tempo["bpm"], tempo["bar_seconds"], tempo["clear"]) == (120, 2, True)
  assert tempo["beats"] == [beat / 2 for beat in range(16)]
  rpp = client.call("GET", client.post("/export")["url"]).content
  with zipfile.ZipFile(io.BytesIO(rpp)) as archive:
    assert b"TEMPO 120.000000 4 4" in archive.read("song.rpp")
  (layer,) = song["layers"]
  assert (layer["category"], layer["clip"], layer["audible"]) == (
    "drums",
    1,
    True,
  )
  text = client.post("/song", {"loop": "drums"}, 409)["error"]
  assert text == "a song is started already: close it first"


def test_a_song_is_started_from_nothing_and_grows(client, mix):
  for route in ("/undo", "/redo", "/export", "/jobs"):
    status = 422 if route == "/jobs" else 409
    assert "error" in client.post(route, status=status)
  song = client.post(
    "/song", {"seconds": 0.5, "sample_rate": RATE, "channels": 1}
  )
  assert (song["layers"], song["tempo"], song["can_undo"]) == ([], None, False)
  song = client.upload("/layers", mix, name="My Mix", category="keys")
  (layer,) = song["layers"]
  assert (layer["name"], layer["title"]) == ("my-mix", "My Mix")
  assert layer["category"] == "piano"
  assert song["can_undo"]


def test_layers_are_mixed_and_undone(started):
  song = started.get("/song")
  assert layers(song) == ["mix"]
  change = {"gain_db": -6.0, "mute": True}
  (layer,) = started.call("PATCH", "/layers/mix", json=change).json()["layers"]
  assert (layer["gain_db"], layer["mute"], layer["audible"]) == (
    -6.0,
    True,
    False,
  )
  silent, rate = soundfile.read(
    io.BytesIO(started.call("GET", "/mix.wav").content)
  )
  assert (rate, len(silent), np.abs(silent).max()) == (RATE, RATE // 2, 0)
  assert layers(started.call("DELETE", "/layers/mix").json()) == []
  assert layers(started.post("/undo")) == ["mix"]
  assert started.post("/undo")["layers"][0]["gain_db"] == 0
  assert started.post("/redo")["can_redo"]
  started.call("DELETE", "/layers/nothing", 404)
  started.call("PATCH", "/layers/mix", 400, json={"pan": 0.5})  # mono


def test_clips_are_sent_as_they_are(client, mix):
  (clip,) = client.upload("/song", mix)["layers"][0]["clips"]
  response = client.call("GET", clip["url"])
  assert "immutable" in response.headers["cache-control"]
  found, rate = soundfile.read(io.BytesIO(response.content))
  np.testing.assert_array_equal(found, soundfile.read(mix)[0])
  assert rate == RATE
  tag = {"if-none-match": response.headers["etag"]}
  assert client.call("GET", clip["url"], 304, headers=tag).content == b""
  part = client.call("GET", f"{clip['url']}&start=0.1&end=0.25").content
  expected = found[RATE // 10 : RATE // 4]
  np.testing.assert_array_equal(soundfile.read(io.BytesIO(part))[0], expected)
  client.call("GET", "/clips/1.wav?start=nan", 422)
  client.call("GET", "/clips/1.wav?song=another", 404)
  client.call("GET", "/clips/2.wav", 404)
  peaks = client.get("/clips/1/peaks?count=10")
  expected = np.abs(found).reshape(10, -1).max(axis=1)
  np.testing.assert_allclose(peaks["peaks"], expected, atol=1e-4)
  assert peaks["seconds"] == 0.5


def test_loud_clips_are_sent_as_floats(client, tmp_path):
  audio.write(tmp_path / "loud.wav", music(), bits="float")
  loud = soundfile.read(tmp_path / "loud.wav")[0] * 30
  soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
  client.upload("/song", tmp_path / "loud.wav")
  found, _ = soundfile.read(
    io.BytesIO(client.call("GET", "/clips/1.wav").content)
  )
  np.testing.assert_allclose(found, loud, atol=1e-5)
  assert np.abs(found).max() > 2


def test_takes_are_accepted_and_discarded(started):
  job = started.wait(started.generate(takes=2, seed=4))
  assert job["clips"] == [2, 3]
  song = started.get("/song")
  (bass,) = song["layers"][1:]
  assert (bass["title"], bass["clip"], bass["stale"]) == ("Bass", None, False)
  assert [clip["seed"] for clip in bass["clips"]] == [4, 5]
  assert [clip["fit"] for clip in bass["clips"]] == [0.0, 1.0]
  song = started.post("/clips/3/accept")
  assert song["layers"][1]["clip"] == 3
  started.call("PATCH", "/layers/mix", json={"gain_db": -1.0})
  assert started.get("/song")["layers"][1]["stale"]
  song = started.call("DELETE", "/clips/2").json()
  assert [clip["number"] for clip in song["layers"][1]["clips"]] == [3]
  started.post("/clips/2/accept", status=404)
  started.call("DELETE", "/clips/9", 404)


def test_the_export_is_that_of_the_command(started, tmp_path):
  started.wait(started.generate())
  started.post("/clips/2/accept")
  started.wait(started.generate(category="synth lead"))
  answer = started.post("/export")
  url, without = answer["url"], answer["left_out"]
  assert without == ["Synth lead"]
  assert url == "/export/song.zip"
  archive = zipfile.ZipFile(io.BytesIO(started.call("GET", url).content))
  session = Session.open(started.studio.folder)  # of this process
  files = export(session, tmp_path / "song_files")
  assert sorted(archive.namelist()) == sorted(path.name for path in files)
  for path in files:
    if path.suffix != ".dawproject":  # a zip file, with the time
      assert archive.read(path.name) == path.read_bytes()
  started.call("GET", "/export/other.zip", 404)


def test_the_next_song_is_in_another_folder(folder, model, mix):
  with serving(folder, model) as client:
    first = client.upload("/song", mix)
    assert client.post("/song/close")["started"] is False
    assert client.get("/jobs") == []
    second = client.post("/song", {"seconds": 1})
    assert second["name"] == "song-2"
    assert second["id"] != first["id"]
    client.call("GET", first["layers"][0]["clips"][0]["url"], 404)
    client.post("/song/close")
    client.post("/song/close")
  with serving(folder, model) as client:
    again = client.get("/song")
  assert again == {x: first[x] for x in again}


def test_warnings_are_for_the_client(folder, model, mix, tmp_path):
  sound = music(0.8)
  shifted = dataclasses.replace(sound, samples=sound.samples + 0.3)
  audio.write(tmp_path / "long.wav", shifted)
  with serving(folder, model) as client:
    client.upload("/song", mix)
    song = client.upload("/layers", tmp_path / "long.wav")
    job = client.wait(client.generate())
  assert song["notices"] == ["long is 0.80 s long, the song 0.50 s: cut"]
  (notice,) = job["notices"]
  assert notice.startswith("the context has a DC offset of 0.")


def test_clients_are_notified_of_changes(started, mix):
  other = type(started)(started.url, started.studio)
  with started.events() as first, other.events() as second:
    for stream in (first, second):
      assert [next(stream)[0], next(stream)[0]] == ["song", "jobs"]
    other.call("PATCH", "/layers/mix", json={"solo": True})
    for stream in (first, second):
      name, song = next(stream)
      assert (name, song["layers"][0]["solo"]) == ("song", True)


def test_what_a_killed_process_left_is_removed(folder, model):
  for name in (".decoding-a", ".export-b"):
    (folder / name).mkdir(parents=True)
    (folder / name / "samples").write_bytes(b"some")
  ended = subprocess.Popen([sys.executable, "-c", ""])
  ended.wait()
  part = whole_files.part_name().replace(f"-{os.getpid()}-", f"-{ended.pid}-")
  (folder / part).write_bytes(b"an upload")
  with serving(folder, model) as client:
    client.post("/song", {"seconds": 1})
    assert sorted(x.name for x in folder.iterdir()) == [
      ".lock",
      "audio",
      "session.json",
      "studio.json",
    ]


def test_a_folder_with_other_files_is_refused(folder, model):
  folder.mkdir()
  pathlib.Path(folder, "novel.txt").touch()
  with pytest.raises(FileExistsError, match="name a new folder"):
    serving(folder, model).__enter__()


def test_two_clients_at_once_lose_nothing(client, mix):
  other = type(client)(client.url, client.studio)
  start = {"seconds": 0.5, "sample_rate": RATE, "channels": 1}
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    answers = pool.map(
      lambda one: one._session.post(f"{one.url}/song", json=start, timeout=30),
      (client, other),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    names = [f"{one}{number}" for number in range(2) for one in "ab"]

    def add(name):
      one = {"a": client, "b": other}[name[0]]
      one.upload("/layers", mix, name=name)
      change = {"gain_db": -float(name[1])}
      one.call("PATCH", f"/layers/{name}", json=change)

    list(pool.map(add, names))
  layers = {x["name"]: x["gain_db"] for x in client.get("/song")["layers"]}
  assert layers == {name: -float(name[1]) for name in names}


def test_a_client_that_leaves_during_an_upload_leaves_nothing(
  started, capfd, folder
):
  before = sorted(folder.rglob("*"))
  port = int(started.url.rpartition(":")[2])
  with socket.create_connection(("127.0.0.1", port), timeout=9) as line:
    line.sendall(
      b"POST /layers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
      b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
      b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    )
  assert started.get("/song")["started"]
  started.post("/undo", status=409)
  assert sorted(folder.rglob("*")) == before
  assert "Traceback" not in capfd.readouterr().err


def test_the_present_folder_is_exported_and_left(
  tmp_path, model, mix, monkeypatch
):
  (tmp_path / "here").mkdir()
  monkeypatch.chdir(tmp_path / "here")
  with serving(pathlib.Path(), model) as client:
    assert client.upload("/song", mix)["name"] == "here"
    assert client.post("/export")["url"] == "/export/here.zip"
    assert not client.post("/song/close")["started"]
    assert client.post("/song", {"seconds": 1})["name"] == "here-2"


def test_a_song_without_tempo_and_key_is_shown(started, monkeypatch):
  def failing(sounds, loop):
    raise MemoryError

  monkeypatch.setattr(facts, "_detect", failing)
  started.studio.song._facts._found.cache_clear()
  assert started.get("/song")["tempo"] is None
  started.studio.song._facts.close()
  started.studio.song._facts._found.cache_clear()
  assert started.get("/song")["key"] is None


def test_a_start_keeps_the_files_of_other_requests(client, folder):
  (folder / ".decoding-a").mkdir(parents=True)
  client.post("/song", {"seconds": 1})
  assert (folder / ".decoding-a").is_dir()


def test_copies_of_a_song_are_not_cached_as_one(folder, model, tmp_path):
  start = {"seconds": 0.5, "sample_rate": RATE, "channels": 1}
  with serving(folder, model) as client:
    client.post("/song", start)
  shutil.copytree(folder, tmp_path / "copy")
  found = []
  for seed, each in enumerate((folder, tmp_path / "copy")):
    with serving(each, model) as client:
      client.wait(client.generate(seed=seed))
      found.append(client.get("/song")["layers"][0]["clips"][0])
      for name in ("url", "peaks"):
        tag = client.call("GET", found[-1][name]).headers["etag"]
        assert found[-1][name].partition("file=")[2] in tag
      if each != folder:
        client.call("GET", found[0]["url"], 404)
        client.call("GET", found[0]["peaks"], 404)
