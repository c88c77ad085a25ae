"""Tests of requests that are refused, and of files that are not audio."""

import contextlib
import io
import socket
import sys
import time

import numpy as np
import pytest
import soundfile
from pcm_model import music
from serving import PATIENCE, Client, serving

from stemgen_jax import audio
from stemgen_jax.audio import isolated
from stemgen_jax.audio.files import MOST_VALUES
from stemgen_jax.session import Session
from stemgen_jax.studio import Studio, safety, uploads

FOREIGN = [
  ({"host": "evil.example"}, "host 'evil.example'"),
  ({"host": "evil.example:8300"}, "host 'evil.example:8300'"),
  ({"host": "127.0.0.1.evil.example"}, "host '127.0.0.1.evil.example'"),
  ({"host": "evil.example@127.0.0.1"}, "origin"),
  ({"host": "[::1"}, "host '[::1'"),
  ({"host": ""}, "host ''"),
  ({"origin": "http://evil.example"}, "origin 'http://evil.example'"),
  ({"origin": "null"}, "origin 'null'"),
  ({"origin": "http://127.0.0.1:1"}, "origin 'http://127.0.0.1:1'"),
  ({"origin": ""}, "origin ''"),
  ({"sec-fetch-site": "cross-site"}, "another site (cross-site)"),
  ({"sec-fetch-site": "same-site"}, "another site (same-site)"),
]


@pytest.mark.parametrize(("headers", "reason"), FOREIGN)
def test_other_sites_are_refused(client, headers, reason):
  if "@" in headers.get("host", ""):
    headers = headers | {"origin": client.url}  # is not that host
  for method, path in (("GET", "/song"), ("POST", "/song"), ("GET", "/")):
    found = client.call(method, path, 403, headers=headers, json={"seconds": 1})
    assert reason in found.json()["error"]
  assert not client.get("/song")["started"]


def test_pages_of_this_server_and_links_to_it_are_served(client):
  port = client.url.rpartition(":")[2]
  for host in ("127.0.0.1", "localhost", "LOCALHOST"):
    headers = {
      "host": f"{host}:{port}",
      "origin": f"http://{host}:{port}",
      "sec-fetch-site": "same-origin",
    }
    client.call("GET", "/song", headers=headers)
  link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
  client.call("GET", "/song", headers=link)


def test_only_this_machine_is_served(client):
  port = int(client.url.rpartition(":")[2])
  addresses = {
    str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), port)
  }
  for address in addresses - {"127.0.0.1", "::1"}:
    with pytest.raises(OSError):  # noqa: PT011  (refused, or no route)
      socket.create_connection((address, port), timeout=2).close()


@pytest.mark.parametrize(
  "path", ["/", "/song", "/docs", "/docs/start.js", "/nothing", "/openapi.json"]
)
def test_all_answers_have_a_policy(client, path):
  headers = client._session.get(client.url + path, timeout=9).headers
  policy = headers["content-security-policy"]
  assert "default-src 'none'" in policy
  assert "script-src 'self';" in policy
  assert "frame-ancestors 'none'" in policy
  assert headers["x-content-type-options"] == "nosniff"


def test_the_description_needs_no_other_server(client):
  page = client.call("GET", "/docs").text
  assert "http" not in page.replace("HTTP", "").lower()
  for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
    assert f'"/docs/{name}"' in page
    assert client.call("GET", f"/docs/{name}").content
  described = client.get("/openapi.json")
  assert {"/song", "/jobs", "/clips/{number}.wav"} <= described["paths"].keys()
  body = described["paths"]["/jobs"]["post"]["requestBody"]
  kinds = body["content"]["application/json"]["schema"]["discriminator"]
  assert sorted(kinds["mapping"]) == [
    "extend",
    "generate",
    "refresh",
    "regenerate",
    "vary",
  ]
  forms = described["paths"]["/song"]["post"]["requestBody"]["content"]
  assert sorted(forms) == ["application/json", "multipart/form-data"]


PATHS = [
  "/static/../studio.py",
  "/static/%2e%2e/studio.py",
  "/static/..%2fstudio.py",
  "/static//etc/passwd",
  "/wavesurfer/../_core.py",
  "/wavesurfer/_core.py",
  "/wavesurfer/%2e%2e/%2e%2e/fastapi/__init__.py",
  "/docs/..%2f__init__.py",
  "/export/..%2fsession.json",
  "/export/%2e%2e/session.json",
  "/export/session.json",
  "/clips/../session.json",
  "/clips/..%2f..%2fetc%2fpasswd.wav",
  "/layers/..%2f..%2fx",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_folder(started, path):
  # As it is: `requests` would resolve "..".
  port = int(started.url.rpartition(":")[2])
  for method in ("GET", "DELETE"):
    with socket.create_connection(("127.0.0.1", port), timeout=9) as line:
      line.sendall(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Connection: close\r\n\r\n".encode()
      )
      answer = b"".join(iter(lambda: line.recv(65536), b""))
    status = int(answer.split()[1])
    assert status in (404, 405, 422), answer


def test_names_of_files_are_shown_and_never_opened(client, mix, folder):
  song = {}
  for number, name in enumerate(
    ("../../evil.wav", "C:\\evil.wav", "/etc/passwd", " .wav", "a" * 300)
  ):
    route = "/layers" if number else "/song"
    files = {"file": (name, mix.read_bytes())}
    song = client.call("POST", route, files=files).json()
  names = [layer["clips"][0]["name"] for layer in song["layers"]]
  assert names == ["evil", "evil", "passwd", "audio", "a" * 60]
  assert left_in(folder) == []
  assert {x.name for x in folder.parent.iterdir()} == {"song", "mix.wav"}


def left_in(folder):
  """Return files of a session that are not part of it."""
  own = ("audio", "session.json", "studio.json", ".lock")
  return [x.name for x in folder.iterdir() if x.name not in own]


def files():
  silence = io.BytesIO()
  soundfile.write(silence, np.zeros(80), 8000, format="WAV")
  whole = io.BytesIO()
  soundfile.write(whole, music(0.5).samples, 8000, format="FLAC")
  long = io.BytesIO()
  soundfile.write(long, np.zeros(601 * 100), 100, format="WAV")
  return {
    "empty": (b"", "is empty"),
    "text": (b"not audio at all" * 99, "not audio that can be read"),
    "json": (b'{"loop": "drums"}', "not audio that can be read"),
    "short": (silence.getvalue(), "0.01 s of audio"),
    "cut": (whole.getvalue()[:2000], "corrupt"),
    "long": (long.getvalue(), "601 s long: expected at most 600 s"),
  }


@pytest.mark.parametrize("name", files())
def test_uploads_that_are_not_audio_are_named(client, folder, name):
  data, message = files()[name]
  given = {"files": {"file": (f"../{name}.wav", data)}}
  error = client.call("POST", "/song", 400, **given).json()["error"]
  assert message in error
  assert str(folder) not in error
  assert not client.get("/song")["started"]
  assert not folder.exists()


LARGE = {"seconds": 600, "sample_rate": 192_000, "channels": 8}


def test_a_song_stays_small_when_it_is_extended(client):
  client.post("/song", LARGE | {"seconds": 0.5})
  error = client.post("/jobs", {"kind": "extend", "seconds": 66}, 400)["error"]
  assert "seconds=66: expected at most 65 for 8 channels" in error
  assert client.get("/jobs") == []


@pytest.mark.parametrize(
  ("given", "status", "message"),
  [
    ({"data": b"{", "json": None}, 422, "Invalid JSON"),
    ({"json": {}}, 400, "either a loop"),
    ({"json": []}, 422, "object"),
    ({"json": {"loop": "drums", "seconds": 3}}, 400, "either a loop"),
    ({"json": {"loop": "../drums"}}, 400, "unknown loop '../drums'"),
    ({"json": {"seconds": 1e9}}, 422, "600"),
    ({"json": {"seconds": "NaN"}}, 422, "seconds"),
    ({"json": {"seconds": 1, "channels": 900}}, 422, "channels"),
    ({"json": LARGE}, 422, "seconds=600: expected at most 65 for 8 channels"),
    ({"json": {"seconds": 1, "more": 1}}, 422, "more"),
    ({"files": {"other": ("a.wav", b"a")}}, 400, "unknown field 'other'"),
    ({"files": {"name": (None, "a")}}, 400, "no file"),
    ({"files": {"file": (None, "a")}}, 400, "no file"),
    ({"files": {"file": ("a", b"a"), "path": (None, "b")}}, 400, "'path'"),
    ({"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]}, 400, "1"),
    ({"files": {"file": ("a", b"a"), "name": (None, "b" * 2000)}}, 400, "1KB"),
  ],
)
def test_bodies_are_checked(client, given, status, message):
  if "data" in given:
    headers = {"content-type": "application/json"}
    found = client.call("POST", "/song", status, data=b"{", headers=headers)
  else:
    found = client.call("POST", "/song", status, **given)
  assert message in found.json()["error"]


def test_a_bug_is_named_and_ends_nothing(client, monkeypatch, capfd):
  def fail(studio):
    raise KeyError("a bug")

  with monkeypatch.context() as patch:
    patch.setattr(Studio, "settings_json", fail)
    found = client.call("GET", "/settings", 500)
  error = found.json()["error"]
  assert "frame-ancestors" in found.headers["content-security-policy"]
  assert "KeyError: 'a bug'" in capfd.readouterr().err
  assert error.startswith("this is a bug in stemgen-jax (KeyError")
  assert client.get("/settings")["loops"]


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("form", [True, False])
def test_large_bodies_are_refused(folder, model, monkeypatch, stated, form):
  monkeypatch.setattr(safety, "_MOST_JSON", 1000)
  monkeypatch.setattr(uploads, "MOST_BYTES", 2000)
  kind = "multipart/form-data; boundary=x" if form else "application/json"
  body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
  body += b"\r\n" + b"a" * 5000 + b"\r\n--x--\r\n"
  parts = body if stated else (body[i : i + 500] for i in range(0, 5000, 500))
  with serving(folder, model) as client:
    found = client.call(
      "POST", "/song", 413, data=parts, headers={"content-type": kind}
    )
    most = 0.002 if form else 0.001
    assert found.json()["error"] == (
      f"the body is too large: expected at most {most:g} MB"
    )
    # The server is well.
    assert Client(client.url, client.studio).get("/song")["layers"] == []


@pytest.mark.parametrize(
  ("method", "path"),
  [("POST", "/jobs"), ("POST", "/song/close"), ("PATCH", "/layers/mix")],
)
def test_a_file_is_received_only_where_it_is_used(started, method, path):
  given = {"content-type": "multipart/form-data; boundary=x"}
  body = b"a" * (safety._MOST_JSON + 1)
  found = started.call(method, path, 413, data=body, headers=given)
  assert "expected at most 1 MB" in found.json()["error"]


def test_a_decoder_has_little_memory_and_its_own_process(tmp_path):
  path = tmp_path / "a.wav"
  audio.write(path, music(20.0))
  same = isolated.read(path, "a", longest=60)
  np.testing.assert_array_equal(same.samples, audio.read(path).samples)
  used = 200 << 20
  soundfile.write(path, np.zeros((1 << 20, 64), np.float32), 8000)
  message = "a needs too much memory or time"
  with pytest.raises(ValueError, match=message):
    isolated.read(path, "a", longest=600, memory=used)
  assert [x.name for x in tmp_path.iterdir()] == ["a.wav"]


SLOW = (sys.executable, "-c", "import time; time.sleep(60)")
HEAD = (
  b"POST /layers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n"
  b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)
FORM = (
  b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
  b"\r\nabc\r\n--x--\r\n"
)


def test_uploads_neither_starve_the_server_nor_outlive_it(
  folder, model, monkeypatch, capfd
):
  monkeypatch.setattr(isolated, "_COMMAND", SLOW)
  decoders = uploads._DECODERS
  places = decoders + uploads._MOST_WAITING
  with (
    contextlib.ExitStack() as stack,
    serving(folder, model) as client,
  ):
    client.studio.start(lambda folder: Session.create(folder, music()))

    def send(missing=0):
      """Upload a file, of which the end may be missing."""
      port = int(client.url.rpartition(":")[2])
      line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
      line.sendall(HEAD % (len(FORM) + missing) + FORM)
      return stack.enter_context(line)

    lines = [send(missing=int(number == 0)) for number in range(places)]
    ends = time.monotonic() + PATIENCE
    while len(list(folder.glob(f"{isolated.PREFIX}*"))) < decoders:
      assert time.monotonic() < ends
      time.sleep(0.01)
    assert b" 429 " in send().recv(1000).splitlines()[0]
    assert len(client.get("/song")["layers"]) == 1
    assert len(list(folder.glob(f"{isolated.PREFIX}*"))) == decoders
    # One body is incomplete, two files are being decoded, others wait.
    client.stop()
    for line in lines:
      assert line.recv(1000).startswith(b"HTTP/1.1 503 ")
  assert left_in(folder) == []
  assert capfd.readouterr().err == ""


def test_the_largest_upload_is_that_of_the_decoder():
  assert uploads.MOST_BYTES == 4 * MOST_VALUES
