"""A stand-in of the Hugging Face Hub on this machine, with large files."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
from typing import Any


class HubServer(http.server.ThreadingHTTPServer):
  """Keeps the commits of repositories that are created.

  Attributes:
    commits: files by commit, of each repository.
    uploads: contents of large files by their sha256.
    asked: methods and paths of all requests.
    redirect: address that lookups are redirected to, if any.
    forbids: refuses to create repositories.
  """

  daemon_threads = True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
    self.uploads: dict[str, bytes] = {}
    self.asked: list[str] = []
    self.redirect, self.forbids = "", False

  @property
  def url(self) -> str:
    return f"http://127.0.0.1:{self.server_port}"

  def commit(self, repository: str, files: dict[str, bytes]) -> str:
    """Add a commit and return it."""
    commits = self.commits.setdefault(repository, {})
    sha = hashlib.sha1(b"%d" % len(commits) + repository.encode()).hexdigest()
    commits[sha] = files
    return sha


@contextlib.contextmanager
def serving():
  """Yield a server while it runs."""
  with HubServer() as server:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
      yield server
    finally:
      server.shutdown()
      thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
  server: Any  # A HubServer.

  def do_GET(self):
    path = self._asked()
    if self.server.redirect:
      return self._send({}, 302, location=self.server.redirect)
    if match := re.fullmatch(r"/api/models/(\w+/\w+)/revision/(\w+)", path):
      return self._look_up(match[1], match[2])
    match = re.fullmatch(r"/(\w+/\w+)/resolve/(\w+)/([\w.]+)", path)
    if not match:
      return self._send({}, 404)
    content = self.server.commits[match[1]][match[2]][match[3]]
    return self._send(content)

  def do_POST(self):
    path = self._asked()
    body = self.rfile.read(int(self.headers["Content-Length"]))
    if path == "/api/repos/create" and self.server.forbids:
      return self._send({}, 403)
    if path == "/api/repos/create":
      got = json.loads(body)
      repository = f"{got['organization']}/{got['name']}"
      self.server.commits.setdefault(repository, {})
      return self._send({"url": f"{self.server.url}/{repository}"})
    if path == "/api/validate-yaml":
      return self._send({"errors": [], "warnings": []})
    if "/preupload/" in path:
      files = [
        {
          "path": file["path"],
          "uploadMode": "lfs" if "safetensors" in file["path"] else "regular",
          "shouldIgnore": False,
        }
        for file in json.loads(body)["files"]
      ]
      return self._send({"files": files})
    if path.endswith("/info/lfs/objects/batch"):
      objects = [
        {
          **file,
          "actions": {
            "upload": {"href": f"{self.server.url}/upload/{file['oid']}"}
          },
        }
        for file in json.loads(body)["objects"]
      ]
      return self._send({"transfer": "basic", "objects": objects})
    (repository,) = re.findall(r"^/api/models/(\w+/\w+)/commit/main", path)
    files = {}
    for line in map(json.loads, body.splitlines()):
      value = line["value"]
      if line["key"] == "file":
        files[value["path"]] = base64.b64decode(value["content"])
      elif line["key"] == "lfsFile":
        files[value["path"]] = self.server.uploads[value["oid"]]
    sha = self.server.commit(repository, files)
    url = f"{self.server.url}/{repository}/commit/{sha}"
    return self._send({"commitOid": sha, "commitUrl": url})

  def do_PUT(self):
    oid = self._asked().rpartition("/")[2]
    content = self.rfile.read(int(self.headers["Content-Length"]))
    assert hashlib.sha256(content).hexdigest() == oid
    self.server.uploads[oid] = content
    self._send({})

  def _look_up(self, repository: str, revision: str):
    commits = self.server.commits.get(repository, {})
    sha = [*commits][-1] if commits and revision == "main" else revision
    if sha not in commits:
      code = "RevisionNotFound" if commits else "RepoNotFound"
      return self._send({}, 404, code=code)
    siblings = [
      {"rfilename": name, "size": len(content)}
      for name, content in commits[sha].items()
    ]
    return self._send({"id": repository, "sha": sha, "siblings": siblings})

  def _asked(self) -> str:
    self.server.asked.append(f"{self.command} {self.path}")
    return self.path.partition("?")[0]

  def _send(self, content: Any, status: int = 200, location="", code=""):
    if isinstance(content, dict):
      content = json.dumps(content).encode()
    self.send_response(status)
    if location:
      self.send_header("Location", location)
    if code:
      self.send_header("X-Error-Code", code)
    self.send_header("Content-Length", str(len(content)))
    self.end_headers()
    self.wfile.write(content)

  def log_message(self, format, *args):
    pass
