"""Run a studio in this process, and talk to it."""

import contextlib
import json
import threading
import time

import requests

from stemgen_jax.studio import Studio
from stemgen_jax.studio.loading import Loading
from stemgen_jax.studio.server import Server, listen, url_of

PATIENCE = 60.0  # seconds


class Client:
  """A program that uses the HTTP API.

  Attributes:
    url: address of the server.
    studio: the studio behind it.
    stop: ends the server, which returns at once.
    live: its place of live runs.
  """

  def __init__(self, url, studio, stop=lambda: None, live=None):
    self.url, self.studio, self.stop, self.live = url, studio, stop, live
    self._session = requests.Session()

  def call(self, method, path, status=200, **given):
    """Send a request, check the status, and return the response."""
    found = self._session.request(
      method, self.url + path, timeout=PATIENCE, **given
    )
    assert found.status_code == status, (path, found.status_code, found.text)
    return found

  def get(self, path, status=200):
    return self.call("GET", path, status).json()

  def post(self, path, value=None, status=200):
    return self.call("POST", path, status, json=value or {}).json()

  def upload(self, path, file, status=200, **fields):
    with open(file, "rb") as stream:
      files = {"file": (file.name, stream)}
      return self.call("POST", path, status, files=files, data=fields).json()

  def generate(self, **given):
    """Queue a job of few steps."""
    fields = {"kind": "generate", "category": "bass"} | given
    few = {"settings": {"steps": [3, 2]}}
    return self.post("/jobs", few | fields, 202)["id"]

  def wait(self, id, *states):
    """Return a job when it is in one of some states, or has ended."""
    ends = time.monotonic() + PATIENCE
    while True:
      job = self.get(f"/jobs/{id}")
      if job["state"] in (*states, "done", "failed", "cancelled"):
        return job
      assert time.monotonic() < ends, job
      time.sleep(0.01)

  @contextlib.contextmanager
  def events(self):
    """Yield an iterator of (name, value)."""
    with self._session.get(
      f"{self.url}/events", stream=True, timeout=PATIENCE
    ) as stream:
      assert stream.headers["content-type"].startswith("text/event-stream")
      yield _parsed(stream.iter_lines(chunk_size=1, decode_unicode=True))


def until(done):
  """Wait until a function returns true."""
  ends = time.monotonic() + PATIENCE
  while not done():
    assert time.monotonic() < ends
    time.sleep(0.01)


def clips(client):
  """Return the numbers of the clips of each layer."""
  song = client.get("/song")
  return [
    [clip["number"] for clip in layer["clips"]] for layer in song["layers"]
  ]


def _parsed(lines):
  name = None
  for line in lines:
    if line.startswith("event: "):
      name = line.removeprefix("event: ")
    elif line.startswith("data: "):
      yield name, json.loads(line.removeprefix("data: "))
    elif line.startswith(":"):
      yield "", line


@contextlib.contextmanager
def serving(folder, model, port=0, warm=lambda model: None):
  """Serve a folder; yield a client."""
  loading = Loading(lambda: model, "tiny", warm)
  studio = Studio(folder, loading)
  server = Server(studio)
  with contextlib.closing(listen(port)) as listening:
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()

    def stop():
      server.should_exit = True

    try:
      ends = time.monotonic() + PATIENCE
      while not server.started and time.monotonic() < ends:
        time.sleep(0.01)
      live = server.app.state.live
      yield Client(url_of(listening), studio, stop, live)
    finally:
      stop()
      thread.join(PATIENCE)
      assert not thread.is_alive()
