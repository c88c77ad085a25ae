"""Check the package on one NVIDIA GPU and write the figures as JSON.

Every part runs in a process of its own, with a limit of time, and writes each
figure as soon as it has it: a part that raises, crashes, hangs or runs out of
memory keeps its figures and does not stop the others. The JSON file is
replaced after each part.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import device_parts

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# Of a part that would be stopped before it has any figure.
_LEAST_SECONDS = 15.0


def main(argv: list[str]) -> int:
  """Run the check, or in a child process some of its parts."""
  arguments = parser().parse_args(argv)
  if arguments.lines:
    device_parts.run(
      arguments.parts.split(","), arguments.lines, arguments.tiny
    )
    return 0
  names = arguments.parts.split(",") if arguments.parts else None
  known = list(device_parts.PARTS)
  if unknown := sorted(set(names or ()) - set(known)):
    print(
      f"--parts={','.join(unknown)}: expected some of {', '.join(known)}",
      file=sys.stderr,
    )
    return 2
  with tempfile.TemporaryDirectory() as folder:
    check = Check(arguments, pathlib.Path(folder))
    return check.run([x for x in known if names is None or x in names])


def parser() -> argparse.ArgumentParser:
  """Return the parser of the command line."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--out", default="device_check.json", help="JSON file")
  parser.add_argument(
    "--seconds",
    type=float,
    default=450.0,
    help="time for all parts; those left after it are named, not run",
  )
  parser.add_argument("--parts", default="", help="parts to run; default: all")
  parser.add_argument(
    "--tiny", action="store_true", help="toy sizes on any processor, as a test"
  )
  parser.add_argument("--lines", help=argparse.SUPPRESS)
  return parser


class Check:
  """One run of the check.

  Args:
    arguments: of the command line.
    folder: for temporary files.
  """

  def __init__(self, arguments: argparse.Namespace, folder: pathlib.Path):
    self._arguments, self._folder = arguments, folder
    self._out = pathlib.Path(arguments.out)
    self._began = time.monotonic()
    self._result: dict[str, Any] = {"tiny": arguments.tiny, "parts": {}}

  @property
  def _left(self) -> float:
    return self._arguments.seconds - (time.monotonic() - self._began)

  def run(self, names: list[str]) -> int:
    """Run parts and return the exit code.

    0: all parts ran; 1: some did not, as the table and the JSON file state; 2:
    none could.
    """
    if not self._out.absolute().parent.is_dir():
      print(f"--out={self._out}: no such folder", file=sys.stderr)
      return 2
    # At toy size one start of Python for all parts: most of the time.
    tiny, names = (names, []) if self._arguments.tiny else ([], names)
    if error := self._probe(tiny):
      print(f"device_check: {error}", file=sys.stderr)
      return 2
    parts: dict[str, Any] = self._result["parts"]
    plan = None
    if "plan" in names:  # on the processor, while other parts use the GPU
      names.remove("plan")
      plan = self._start(["plan"], JAX_PLATFORMS="cpu")
    for name in names:
      limit = min(device_parts.PARTS[name].seconds, self._left)
      if limit < _LEAST_SECONDS:
        reason = f"the {self._arguments.seconds:.0f} s of --seconds were over"
        parts[name] = _not_run(reason)
      else:
        print(f"{name} (at most {limit:.0f} s) ...", flush=True)
        parts.update(self._finish(self._start([name]), limit))
      self._write()
    if plan:
      parts.update(self._finish(plan, max(self._left, 1.0)))
    self._result["comparison"] = device_parts.compare(parts)
    self._write()
    print(device_parts.table(self._result))
    print(f"wrote {self._out}")
    return 0 if all(x["status"] == "done" for x in parts.values()) else 1

  def _probe(self, names: list[str]) -> str:
    """Describe the device in the result; return a reason to stop, if any.

    Args:
      names: parts to run in the same process.
    """
    limit = self._left if names else min(120.0, self._left)
    parts = self._finish(self._start(["device", *names]), limit)
    probed = parts.pop("device")
    self._result["parts"] = parts
    if probed["status"] != "done":
      return f"JAX does not start: {probed['reason']}"
    self._result["device"] = found = probed["figures"][0]
    if self._arguments.tiny or found["backend"] == "gpu":
      return ""
    return (
      f"JAX {found['versions']['jax']} runs on {found['backend']}: expected an "
      "NVIDIA GPU and a JAX for CUDA, or --tiny for a test at toy size"
    )

  def _start(self, names: list[str], **more: str) -> "_Running":
    lines = self._folder / f"{'-'.join(names)}.jsonl"
    log = lines.with_suffix(".log")
    # Parts that compile the same programs find them.
    environment = {
      "JAX_COMPILATION_CACHE_DIR": str(self._folder / "programs"),
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1",
      "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    environment |= os.environ | more
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    kind = self._result.get("device", {}).get("device", "")
    environment["DEVICE_CHECK_KIND"] = kind
    command = [sys.executable, __file__, f"--lines={lines}"]
    command += [f"--parts={','.join(names)}"]
    command += ["--tiny"] if self._arguments.tiny else []
    with open(log, "w") as output:
      process = subprocess.Popen(
        command, env=environment, stdout=output, stderr=subprocess.STDOUT
      )
    return _Running(process, names, lines, log, time.monotonic())

  def _finish(self, running: "_Running", limit: float) -> dict[str, Any]:
    """Wait for parts and return their results by name."""
    reason = ""
    try:
      code = running.process.wait(max(limit, 1.0))
      if code:
        reason = f"the process ended with code {code}: {running.last_words()}"
    except subprocess.TimeoutExpired:
      reason = f"stopped after {time.monotonic() - running.began:.0f} s"
    finally:
      running.process.kill()
      running.process.wait()
    return running.results(reason)

  def _write(self) -> None:
    self._result["seconds"] = round(time.monotonic() - self._began, 1)
    partial = self._out.with_name(f".{self._out.name}.part")
    partial.write_text(json.dumps(self._result, indent=1) + "\n")
    partial.replace(self._out)


class _Running:
  """A child process and the files that it writes."""

  def __init__(
    self,
    process: subprocess.Popen,
    names: list[str],
    lines: pathlib.Path,
    log: pathlib.Path,
    began: float,
  ):
    self.process, self.began = process, began
    self._names, self._lines, self._log = names, lines, log

  def last_words(self) -> str:
    """Return the last line of its output."""
    words = self._log.read_text(errors="replace").strip().splitlines()
    return words[-1][:300] if words else "no output"

  def results(self, reason: str) -> dict[str, Any]:
    """Return the parts' results.

    Args:
      reason: why the process was ended, if it did not end by itself.
    """
    results = {name: _not_run(reason or "not begun") for name in self._names}
    text = self._lines.read_text() if self._lines.exists() else ""
    for line in text.splitlines():
      try:
        entry = json.loads(line)
      except ValueError:  # cut off
        continue
      result = results[entry.pop("part")]
      figures = result["figures"]
      if "figure" in entry:
        figures.append(entry["figure"])
        # Until its last line says how the part ended.
        result["status"] = "incomplete"
      else:
        result.update(entry)
    return results


def _not_run(reason: str) -> dict[str, Any]:
  return {"status": "not run", "reason": reason, "figures": []}


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
