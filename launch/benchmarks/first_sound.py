"""Time from the start of a process to its stem, for the README's example.

Checkouts and presets alternate, so that all meet the same disturbances. A
first run of each, which is not counted, fills the checkout's cache.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from stemgen_jax import audio, text_tables

from .processes import ROOT
from .processor import processor

_LOOP = ROOT / "stemgen_jax/assets/loops/drums.flac"
_PARTS = ("import", "load", "compile", "encode", "generate", "decode")


def run(arguments: argparse.Namespace) -> None:
  """Print the table."""
  roots = {"ours": ROOT}
  if arguments.baseline:
    roots["baseline"] = pathlib.Path(arguments.baseline).resolve()
  presets = arguments.presets.split(",")
  print(processor())
  with tempfile.TemporaryDirectory() as folder:
    cache = pathlib.Path(arguments.cache or folder).resolve()
    print(table(roots, presets, arguments.rounds, cache))


def table(
  roots: dict[str, pathlib.Path],
  presets: Sequence[str],
  rounds: int,
  folder: pathlib.Path,
) -> str:
  """Measure checkouts and return a Markdown table.

  Args:
    roots: checkouts by name; "baseline" is compared with.
    presets: presets of `stemgen-jax generate`.
    rounds: counted runs of each checkout and preset.
    folder: folder of the caches, one for each checkout.
  """
  seconds, parts = {}, {}
  for number in range(rounds + 1):
    for preset in presets:
      for name, root in roots.items():
        case = (preset, name)
        duration, cost = _first_sound(root, preset, folder / name)
        if not number:
          continue
        seconds.setdefault(case, []).append(duration)
        if duration == min(seconds[case]):
          parts[case] = cost  # of the fastest run
  rows = []
  for (preset, name), durations in seconds.items():
    ratios = [
      f"{min(durations) / min(base):.2f}" if base else ""
      for base in (
        seconds.get((preset, "baseline")),
        seconds.get(("default", "baseline")),
      )
    ]
    median = statistics.median(durations)
    cost = parts[preset, name]
    rows.append(
      [
        preset,
        name,
        f"{median:.2f}",
        f"{min(durations):.2f}",
        *ratios,
        *(_share(cost, part, min(durations)) for part in _PARTS),
      ]
    )
  header = ["preset", "code", "median s", "min s", "x baseline", "x default"]
  header += _PARTS
  return text_tables.markdown(rows, header)


def _share(cost: dict[str, float], part: str, of: float) -> str:
  seconds = cost.get(f"seconds_to_{part}")
  return "" if seconds is None else f"{seconds / of:.0%}"


def _first_sound(
  root: pathlib.Path, preset: str, cache: pathlib.Path
) -> tuple[float, dict[str, float]]:
  """Return the seconds until a stem is written, and the cost that it states."""
  cache.mkdir(parents=True, exist_ok=True)
  stem = cache / f"{preset}.wav"
  command = [sys.executable, "-P", "-m", "stemgen_jax", "generate"]
  command += [f"--context={_LOOP}", "--stem=bass", "--seed=3"]
  command += [f"--preset={preset}", f"--out={stem}", "--overwrite"]
  began = time.time()
  done = subprocess.run(
    command,
    cwd=cache,  # A checkout in the current folder would be imported instead.
    env=os.environ | {"PYTHONPATH": str(root), "STEMGEN_JAX_CACHE": str(cache)},
    capture_output=True,
    text=True,
    check=False,
  )
  if done.returncode:
    raise ValueError(f"{root}: exit status {done.returncode}: {done.stderr}")
  # Mix, codes and picture follow the stem: the process ends later.
  duration = stem.stat().st_mtime - began
  return duration, audio.read_metadata(stem)["cost"]
