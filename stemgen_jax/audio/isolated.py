"""Decode a file from an unknown source in a process with little memory.

A corrupt file may make a decoder take all memory or never end; only the process
of its own fails then.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from stemgen_jax import disk
from stemgen_jax.audio import files
from stemgen_jax.audio.sound import Audio

_MOST_MEMORY = 2 << 30  # bytes, of which Python and its libraries take a fifth
_MOST_SECONDS = 60  # of work; ten minutes of music take about one
PREFIX = ".decoding-"
"""Beginning of the names of temporary folders."""
_SAMPLES = "samples"
_ROOT = pathlib.Path(__file__).parents[2]


def read(
  path: pathlib.Path, name: str, *, longest: float, memory: int = _MOST_MEMORY
) -> Audio:
  """Decode a file as `audio.read` does, in a process of its own.

  Args:
    path: the file; samples are written to its folder meanwhile.
    name: its name for people.
    longest: maximum length in seconds.
    memory: limit of the process in bytes, where the system has limits.

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
  with tempfile.TemporaryDirectory(prefix=PREFIX, dir=path.parent) as folder:
    command = [sys.executable, "-m", __name__, path, folder]
    try:
      done = subprocess.run(
        [*command, str(longest), str(memory)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=2 * _MOST_SECONDS,
        check=False,
      )
    except subprocess.TimeoutExpired:
      raise ValueError(
        f"{name} takes too long to decode: export it again, as wav or flac"
      ) from None
    try:
      about = disk.parse_json(done.stdout)
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
