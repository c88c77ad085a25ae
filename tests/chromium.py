"""Chromium under the DevTools protocol, over a pipe: no further package."""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

# Debian's name is chromium; other systems have other names.
PROGRAM = next(
  filter(
    None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
  ),
  "",
)
PATIENCE = 60.0  # seconds
_FLAGS = (
  "--headless=new",
  "--no-sandbox",  # where tests run as root there is none
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-extensions",
  "--disable-background-networking",
  "--disable-features=SpareRendererForSitePerProcess",
  "--process-per-site",
  "--disable-component-update",
  "--no-first-run",
  "--disable-audio-output",
  "--autoplay-policy=no-user-gesture-required",
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
)
_KEYS = {" ": "Space", "ArrowUp": "ArrowUp", "ArrowDown": "ArrowDown"}


class Browser:
  """A running Chromium."""

  def __init__(self, process: subprocess.Popen, out: int, into: int):
    self._process, self._out, self._into = process, out, into
    self._ids, self._buffer = itertools.count(1), b""
    self._pages: dict[str, Page] = {}

  def open(self, url: str, width: int = 1440, height: int = 900) -> "Page":
    """Open a page in a new tab."""
    target = self.send("Target.createTarget", {"url": "about:blank"})
    session = self.send(
      "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
    )["sessionId"]
    page = self._pages[session] = Page(self, session, target["targetId"])
    page.send("Page.enable")
    page.send("Runtime.enable")
    page.resize(width, height)
    page.go(url)
    return page

  def send(
    self, method: str, params: dict[str, Any] | None = None, session: str = ""
  ) -> dict[str, Any]:
    """Send a command and return its result."""
    number = next(self._ids)
    message = {"id": number, "method": method, "params": params or {}}
    if session:
      message["sessionId"] = session
    os.write(self._out, json.dumps(message).encode() + b"\0")
    deadline = time.monotonic() + PATIENCE
    while True:
      answer = self._read(deadline - time.monotonic())
      if answer.get("id") != number:
        self._note(answer)
      elif "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']['message']}")
      else:
        return answer["result"]

  def _read(self, seconds: float) -> dict[str, Any]:
    while b"\0" not in self._buffer:
      if not select.select([self._into], [], [], max(0, seconds))[0]:
        raise TimeoutError("Chromium does not answer")
      if not (received := os.read(self._into, 1 << 20)):
        raise RuntimeError("Chromium has ended")
      self._buffer += received
    message, self._buffer = self._buffer.split(b"\0", 1)
    return json.loads(message)

  def _note(self, event: dict[str, Any]) -> None:
    page = self._pages.get(event.get("sessionId", ""))
    given = event.get("params", {})
    if page and event["method"] == "Runtime.exceptionThrown":
      details = given["exceptionDetails"]
      text = details.get("exception", {}).get("description", details["text"])
      page.errors.append(text)
    if page and given.get("type") == "error":  # of console.error
      page.errors.append(json.dumps(given["args"]))


class Page:
  """A tab; `errors` has its uncaught exceptions and console errors."""

  def __init__(self, browser: Browser, session: str, target: str):
    self._browser, self._session, self._target = browser, session, target
    self.errors: list[str] = []

  def send(self, method: str, params: dict | None = None) -> dict[str, Any]:
    return self._browser.send(method, params, self._session)

  def go(self, url: str) -> None:
    self.send("Page.navigate", {"url": url})
    self.wait("document.readyState === 'complete'")

  def reload(self) -> None:
    self.send("Page.reload")
    self.wait("document.readyState === 'complete'")

  def close(self) -> None:
    self._browser.send("Target.closeTarget", {"targetId": self._target})

  def resize(self, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1}
    size["mobile"] = width < 700
    self.send("Emulation.setDeviceMetricsOverride", size)

  def evaluate(self, script: str) -> Any:
    """Return the value of a script, awaited if it is a promise."""
    result = self.send(
      "Runtime.evaluate",
      {"expression": script, "awaitPromise": True, "returnByValue": True},
    )
    if "exceptionDetails" in result:
      raise RuntimeError(json.dumps(result["exceptionDetails"])[:2000])
    return result["result"].get("value")

  def wait(self, script: str, seconds: float = PATIENCE) -> Any:
    """Wait until a script has a true value, and return it."""
    deadline = time.monotonic() + seconds
    # An element is returned as {}.
    value_of = f"(value => value instanceof Node || value)({script})"
    while time.monotonic() < deadline:
      with contextlib.suppress(RuntimeError):  # the page is still loading
        if value := self.evaluate(value_of):
          return value
      time.sleep(0.05)
    text = self.evaluate("document.body.innerText").replace("\n", " ")
    raise TimeoutError(f"never true: {script}; errors {self.errors}; {text}")

  def _find(self, selector: str, text: str) -> list[float]:
    """Wait for an element with a text; scroll to it, return its box."""
    return self.wait(
      f"""(() => {{
        const all = [...document.querySelectorAll({json.dumps(selector)})];
        const found = all.find((one) => one.checkVisibility() && !one.disabled
          && one.textContent.includes({json.dumps(text)}));
        if (!found) return null;
        found.scrollIntoView({{block: "nearest"}});
        const box = found.getBoundingClientRect();
        return [box.left, box.top, box.width, box.height];
      }})()"""
    )

  def click(self, selector: str, text: str = "") -> None:
    """Click on the middle of the first visible element with a text."""
    left, top, width, height = self._find(selector, text)
    self._mouse("mousePressed", left + width / 2, top + height / 2)
    self._mouse("mouseReleased", left + width / 2, top + height / 2)

  def drag(self, selector: str, start: float, end: float) -> None:
    """Drag over an element, from one share of its width to another."""
    left, top, width, height = self._find(selector, "")
    y = top + height / 2
    self._mouse("mousePressed", left + start * width, y)
    for share in (0.3, 0.7, 1.0):
      x = left + (start + share * (end - start)) * width
      self._mouse("mouseMoved", x, y)
    self._mouse("mouseReleased", left + end * width, y)
    # A click right after a drag belongs to the drag.
    self.evaluate("new Promise((done) => setTimeout(done, 50))")

  def _mouse(self, kind: str, x: float, y: float) -> None:
    event = {"type": kind, "x": x, "y": y, "button": "left"}
    event["buttons"] = int(kind != "mouseReleased")
    self.send("Input.dispatchMouseEvent", {**event, "clickCount": 1})

  def press(self, key: str, modifiers: int = 0) -> None:
    """Press a key; modifiers are 1 Alt, 2 Ctrl, 4 Meta, 8 Shift."""
    code = f"Digit{key}" if key.isdecimal() else _KEYS.get(key, "")
    event = {"key": key, "code": code, "modifiers": modifiers}
    down = {**event, "type": "keyDown"}
    if len(key) == 1 and not modifiers:
      down["text"] = key
    self.send("Input.dispatchKeyEvent", down)
    self.send("Input.dispatchKeyEvent", {**event, "type": "keyUp"})

  def choose_file(self, selector: str, path: pathlib.Path) -> None:
    """Choose a file in an input."""
    root = self.send("DOM.getDocument")["root"]["nodeId"]
    query = {"nodeId": root, "selector": selector}
    node = self.send("DOM.querySelector", query)["nodeId"]
    chosen = {"nodeId": node, "files": [str(path)]}
    self.send("DOM.setFileInputFiles", chosen)

  def screenshot(self, path: pathlib.Path) -> None:
    data = self.send("Page.captureScreenshot", {"format": "png"})["data"]
    path.write_bytes(base64.b64decode(data))

  def download_to(self, folder: pathlib.Path) -> None:
    given = {"behavior": "allow", "downloadPath": str(folder)}
    self.send("Browser.setDownloadBehavior", given)

  def wait_for_download(self, path: pathlib.Path) -> None:
    """Wait until the empty file that a download begins with is replaced."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
      if path.exists() and path.stat().st_size:
        return
      time.sleep(0.05)
    raise TimeoutError(f"{path} is not downloaded; errors {self.errors}")


@contextlib.contextmanager
def running(profile: pathlib.Path) -> Iterator[Browser]:
  """Run Chromium with a profile in an empty folder."""
  commands, out = os.pipe()
  into, answers = os.pipe()
  # Chromium reads commands from descriptor 3 and answers on 4.
  process = subprocess.Popen(
    [
      "bash",
      "-c",
      f'exec "$@" 3<&{commands} 4>&{answers}',
      "bash",
      PROGRAM,
      "--remote-debugging-pipe",
      f"--user-data-dir={profile}",
      *_FLAGS,
    ],
    pass_fds=(commands, answers),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  os.close(commands)
  os.close(answers)
  browser = Browser(process, out, into)
  try:
    yield browser
  finally:
    with contextlib.suppress(OSError, RuntimeError, TimeoutError):
      browser.send("Browser.close")
    process.terminate()
    process.wait(30)
    os.close(out)
    os.close(into)
