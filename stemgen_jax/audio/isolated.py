"""Decode a file from an unknown source in a process with little memory.

A corrupt file may make a decoder take all memory or never end; only the process
of its own fails then.
"""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

from stemgen_jax import disk, signals
from stemgen_jax.audio import files
from stemgen_jax.audio.sound import Audio

_MOST_MEMORY = 2 << 30  # bytes, of which Python and its libraries take a fifth
_MOST_SECONDS = 60  # of work; ten minutes of music take about one
PREFIX = ".decoding-"
"""Beginning of the names of temporary folders."""
_SAMPLES = "samples"
_COMMAND = (sys.executable, "-m", __name__)
_POLL = 0.1  # seconds
_ROOT = pathlib.Path(__file__).parents[2]


def read(
  path: pathlib.Path,
  name: str,
  *,
  longest: float,
  memory: int = _MOST_MEMORY,
  stop: threading.Event | None = None,
) -> Audio:
  """Decode a file as `audio.read` does, in a process of its own.

  Args:
    path: the file; samples are written to its folder meanwhile.
    name: its name for display.
    longest: maximum length in seconds.
    memory: limit of the process in bytes, where the system has limits.
    stop: set from another thread, ends the process.

  Raises:
    ValueError: the file is not audio, too long, or needs too much memory.
  """
  # One thread: each one of a library reserves memory.
  paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
  environment = os.environ | {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(paths),
    "PYTHONSAFEPATH": "1",
  }
  folder = tempfile.mkdtemp(prefix=PREFIX, dir=path.parent)
  remove = functools.partial(shutil.rmtree, folder, ignore_errors=True)
  with signals.cleanup(remove):
    command = [*_COMMAND, str(path), folder, str(longest), str(memory)]
    try:
      printed = _run(command, environment, stop or threading.Event())
    except subprocess.TimeoutExpired:
      raise ValueError(
        f"{name} takes too long to decode: export it again, as wav or flac"
      ) from None
    try:
      about = disk.parse_json(printed)
    except ValueError:  # it was ended by a limit
      raise ValueError(
        f"{name} needs too much memory or time to decode: export it again, as "
        "wav or flac"
      ) from None
    if "error" in about:
      raise ValueError(about["error"].replace(str(path), name))
    samples = np.fromfile(pathlib.Path(folder, _SAMPLES), np.float32)
  shape = about.pop("shape")
  about["notes"] = tuple(about["notes"])
  return Audio(samples.reshape(shape), **about)


def _run(
  command: list[str], environment: dict[str, str], stop: threading.Event
) -> bytes:
  """Return the output of a process; TimeoutExpired if it is ended."""
  ends = time.monotonic() + 2 * _MOST_SECONDS
  with (
    subprocess.Popen(
      command,
      env=environment,
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
    ) as process,
    signals.cleanup(process.kill),
  ):
    while True:
      try:
        return process.communicate(timeout=_POLL)[0]
      except subprocess.TimeoutExpired:
        if stop.is_set() or time.monotonic() > ends:
          raise


def _main(path: str, folder: str, longest: str, memory: str) -> None:
  _limit(int(memory))
  about = {}
  try:
    sound = files.read(path, longest=float(longest))
    sound.samples.tofile(pathlib.Path(folder, _SAMPLES))
    about = {
      field.name: getattr(sound, field.name)
      for field in dataclasses.fields(sound)
      if field.name != "samples"
    }
    about["shape"] = sound.samples.shape
  except (ValueError, OSError) as error:
    about["error"] = str(error)
  print(json.dumps(about))


def _limit(memory: int) -> None:
  try:
    import resource
  except ImportError:  # Windows has no such limits
    return
  resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
  size = 4 * files.MOST_VALUES + (1 << 20)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
  resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


if __name__ == "__main__":
  _main(*sys.argv[1:])
