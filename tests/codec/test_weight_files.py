"""Places of weights; a server on this machine replaces the web."""

import hashlib
import http.server
import os
import pathlib
import re
import threading
from concurrent import futures
from typing import Any

import numpy as np
import pytest

from stemgen_jax import codec, paths
from stemgen_jax.codec import weight_files
from stemgen_jax.web import download

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REVISION = "0123456789abcdef" * 2 + "01234567"


class Server(http.server.ThreadingHTTPServer):
  """Serves CONTENT under every address, with configurable faults.

  Attributes:
    asked: Range header of each request, None without one.
    breaks_after: bytes after which the connection breaks, once.
    ranges: whether it supports ranges.
    stated: checksum in the header that the Hub uses.
    location: target of the redirection.
    resolved: revision and file of each request that was redirected.
  """

  daemon_threads = True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.asked: list[str | None] = []
    self.breaks_after = len(CONTENT)
    self.ranges = True
    self.stated = ""
    self.location = "/large"
    self.resolved: list[str] = []

  @property
  def url(self) -> str:
    return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
  server: Any  # A Server.

  def do_GET(self):
    if self.path.startswith("/missing"):
      self.send_error(404)
      return
    if "/resolve/" in self.path:  # The Hub redirects to large files.
      self.server.resolved.append(self.path.split("/resolve/")[1])
      self.send_response(302)
      self.send_header("Location", self.server.location)
      self.send_header("X-Repo-Commit", REVISION)
      if self.server.stated:
        self.send_header("X-Linked-Etag", f'"{self.server.stated}"')
      self.send_header("Content-Length", "0")
      self.end_headers()
      return
    range_ = self.headers.get("Range")
    self.server.asked.append(range_)
    start = 0
    if range_ and self.server.ranges:
      (start,) = map(int, re.findall(r"bytes=(\d+)-", range_))
    if start >= len(CONTENT):
      self.send_response(416)
      self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
      self.send_header("Content-Length", "0")
      self.end_headers()
      return
    self.send_response(206 if start else 200)
    self.send_header("Content-Length", str(len(CONTENT) - start))
    self.end_headers()
    stop = min(len(CONTENT), start + self.server.breaks_after)
    self.wfile.write(CONTENT[start:stop])
    self.server.breaks_after = len(CONTENT)
    self.close_connection = True

  def log_message(self, format, *args):
    pass


@pytest.fixture
def server():
  with Server() as server:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  """No test uses the web or the user's cache."""
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path / "cache"))
  monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # no server
  monkeypatch.setenv("NO_PROXY", "127.0.0.1")
  return tmp_path / "cache"


def left_in(folder):
  """Return the names of all files but the lock."""
  return [f.name for f in folder.iterdir() if f.suffix != ".lock"]


def test_a_file_is_downloaded(server, tmp_path, capsys):
  path = tmp_path / "new" / "weights.th"
  download.download(f"{server.url}/weights.th", path, SHA256[:8])
  assert path.read_bytes() == CONTENT
  assert left_in(path.parent) == ["weights.th"]
  assert "weights.th" in capsys.readouterr().err  # the bar


def test_a_partial_download_is_resumed(server, tmp_path):
  path = tmp_path / "weights.th"
  server.breaks_after = 1_000_000
  with pytest.raises(OSError, match=r"broke|broken"):
    download.download(f"{server.url}/weights.th", path, SHA256)
  assert not path.exists()
  begun = (tmp_path / "weights.th.partial").stat().st_size
  assert 0 < begun <= 1_000_000
  download.download(f"{server.url}/weights.th", path, SHA256)
  assert path.read_bytes() == CONTENT
  assert server.asked == [None, f"bytes={begun}-"]
  assert left_in(tmp_path) == ["weights.th"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("begun", [1_000, len(CONTENT)])
def test_any_partial_file_is_completed(server, tmp_path, ranges, begun):
  (tmp_path / "weights.th.partial").write_bytes(CONTENT[:begun])
  server.ranges = ranges  # without them, the whole file is sent
  download.download(f"{server.url}/w", tmp_path / "weights.th", SHA256)
  assert (tmp_path / "weights.th").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
  path = tmp_path / "weights.th"
  (tmp_path / "weights.th.partial").write_bytes(b"of another file")
  with pytest.raises(ValueError, match="try again"):
    download.download(f"{server.url}/weights.th", path, SHA256[:8])
  assert not left_in(tmp_path)
  download.download(f"{server.url}/weights.th", path, SHA256[:8])
  assert path.read_bytes() == CONTENT


def test_two_threads_download_a_file_once(server, tmp_path):
  path = tmp_path / "weights.th"
  wanted = (f"{server.url}/weights.th", path, SHA256)
  with futures.ThreadPoolExecutor(2) as pool:
    for fetched in [pool.submit(download.download, *wanted) for _ in range(2)]:
      fetched.result()
  assert path.read_bytes() == CONTENT
  assert server.asked == [None]


def test_files_without_a_checksum_are_not_downloaded(server, tmp_path):
  url = f"{server.url}/facebook/encodec_32khz/resolve/main/model.safetensors"
  with pytest.raises(OSError, match="without a checksum"):
    download.download(url, tmp_path / "weights")
  assert not left_in(tmp_path)


def test_the_hubs_checksum_is_verified(server, tmp_path):
  url = f"{server.url}/facebook/encodec_32khz/resolve/main/model.safetensors"
  server.stated = SHA256
  download.download(url, tmp_path / "good")
  assert (tmp_path / "good").read_bytes() == CONTENT
  server.stated = "0" * 64
  with pytest.raises(ValueError, match="its publisher states 000000000000"):
    download.download(url, tmp_path / "bad")
  assert not (tmp_path / "bad").exists()


def test_a_refusal_is_an_error(server, tmp_path):
  with pytest.raises(OSError, match="404"):
    download.download(f"{server.url}/missing", tmp_path / "weights.th")
  # The lock may stay, and is empty.
  left = [path.name for path in tmp_path.iterdir() if path.stat().st_size]
  assert left == []
  assert not (tmp_path / "weights.th").exists()
  assert not (tmp_path / "weights.th.partial").exists()


def test_the_order_of_places(server, cache, tmp_path, monkeypatch):
  monkeypatch.setenv("HF_ENDPOINT", server.url)
  server.stated = SHA256
  name = "encodec_32khz"
  # No file in any place: it is downloaded, once.
  path = weight_files.find(name)
  assert path == cache / name / "model.safetensors"
  assert path.read_bytes() == CONTENT
  assert weight_files.find(name) == path
  assert len(server.asked) == 1
  # Files of the other layouts in the cache are found too.
  path.unlink()
  other = cache / name / "compression_state_dict.bin"
  other.write_bytes(b"audiocraft's")
  assert weight_files.find(name) == other
  # A path that is given is tried first; a folder is searched.
  given = tmp_path / "mine" / "state_dict.bin"
  given.parent.mkdir()
  given.write_bytes(b"mine")
  assert weight_files.find(name, str(given)) == given
  assert weight_files.find(name, str(given.parent)) == given
  assert len(server.asked) == 1


@pytest.mark.parametrize(
  "url",
  [
    "http://example.org/w",
    "http://127.0.0.1.example.org/w",
    "ftp://127.0.0.1/w",
    "file:///etc/passwd",
  ],
)
def test_only_https_and_this_machine(server, tmp_path, monkeypatch, url):
  with pytest.raises(ValueError, match="expected https://"):
    download.download(url, tmp_path / "weights", SHA256)
  server.location, server.stated = url, SHA256
  monkeypatch.setenv("HF_ENDPOINT", server.url)
  with pytest.raises((ValueError, OSError)):  # requests refuses some, too
    weight_files.find("encodec_32khz")
  monkeypatch.setenv("HF_ENDPOINT", url)
  with pytest.raises(ValueError, match="HF_ENDPOINT names the Hub"):
    weight_files.find("encodec_32khz")
  assert server.asked == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_addresses_of_this_machine(host):
  download.check_address(f"http://{host}:80/w")
  download.check_address("https://example.org/w")


def test_a_later_download_is_of_the_same_revision(server, cache, monkeypatch):
  monkeypatch.setenv("HF_ENDPOINT", server.url)
  server.stated = SHA256
  path = weight_files.find("encodec_32khz")
  path.unlink()
  assert weight_files.find("encodec_32khz") == path
  file = "model.safetensors"
  assert server.resolved == [f"main/{file}", f"{REVISION}/{file}"]
  path.unlink()
  server.stated = "0" * 64  # the sum of the first download counts as well
  with pytest.raises(ValueError, match="its publisher states"):
    weight_files.find("encodec_32khz")


def test_a_cached_file_is_verified_when_it_changes(server, cache, monkeypatch):
  monkeypatch.setenv("HF_ENDPOINT", server.url)
  server.stated = SHA256
  path = weight_files.find("encodec_32khz")
  with monkeypatch.context() as patch:
    patch.setattr("stemgen_jax.disk.checksum", None)  # not computed again
    assert weight_files.find("encodec_32khz") == path
  os.utime(path, (1, 1))
  assert weight_files.find("encodec_32khz") == path
  path.write_bytes(CONTENT[:-1] + b"x")
  with pytest.raises(ValueError, match=f"expected {SHA256[:12]}: delete it"):
    weight_files.find("encodec_32khz")
  # A file that the user put there, and one with the publisher's prefix.
  for name, file in (
    ("encodec_48khz", "state_dict.bin"),
    ("encodec_24khz", ""),
  ):
    file = file or weight_files.PUBLISHED[name].file
    mine = cache / name / file
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    if name == "encodec_48khz":
      assert weight_files.find(name) == mine
      mine.write_bytes(b"other")
    with pytest.raises(ValueError, match="if you replaced it"):
      weight_files.find(name)


def test_only_the_given_path_is_tried(cache):
  (cache / "encodec_32khz").mkdir(parents=True)
  (cache / "encodec_32khz" / "model.safetensors").write_bytes(b"cached")
  with pytest.raises(FileNotFoundError, match="at nowhere: expected a file"):
    codec.load("encodec_32khz:nowhere")


def test_the_error_has_instructions(cache, monkeypatch):
  with pytest.raises(FileNotFoundError) as raised:
    codec.load("encodec_32khz")
  message = str(raised.value)
  assert len(message.splitlines()) == 1
  for part in (
    "put model.safetensors (236 MB",
    "facebook/encodec_32khz/resolve/main/model.safetensors",
    str(cache / "encodec_32khz"),
    "encodec_32khz:PATH",
    "CC BY-NC 4.0",
  ):
    assert part in message


def test_the_licence_is_shown_the_first_time(cache, tmp_path, capsys):
  for name, terms in (
    ("encodec_32khz", "CC BY-NC 4.0"),
    ("encodec_24khz", "Attribution-NonCommercial 4.0 International"),
  ):
    file = tmp_path / f"{name}.th"
    file.write_bytes(b"")
    weight_files.find(name, str(file))
    assert terms in capsys.readouterr().err
    weight_files.find(name, str(file))
    assert capsys.readouterr().err == ""
    assert terms in (cache / name / "LICENCE.txt").read_text()


def test_the_cache_is_the_platforms_or_an_environment_variable(monkeypatch):
  monkeypatch.setenv("STEMGEN_JAX_CACHE", "~/mine")
  assert paths.cache_folder() == pathlib.Path.home() / "mine"
  monkeypatch.delenv("STEMGEN_JAX_CACHE")
  assert paths.cache_folder().name == "stemgen-jax"


def test_checksums_equal_those_in_the_publishers_file_names():
  for weights in weight_files.PUBLISHED.values():
    if weights.checksum:
      assert weights.file.endswith(f"-{weights.checksum[:8]}.th")
      assert len(weights.checksum) in (8, 64)
      assert weights.url.endswith(f"/encodec/v0/{weights.file}")
