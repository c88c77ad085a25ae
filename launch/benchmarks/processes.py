"""Processes that run pieces of work in turn, see worker.py."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
WORKER = pathlib.Path(__file__).with_name("worker.py")


class Worker:
  """One process with one piece of work.

  Args:
    name: name for messages.
    job: argument of the process, see worker.py.
    root: checkout to measure.
    script: script to run.
  """

  def __init__(
    self,
    name: str,
    job: dict[str, Any],
    root: pathlib.Path = ROOT,
    script: pathlib.Path = WORKER,
  ):
    self.name, self.job = name, job
    self.seconds: list[float] = []
    self.memory = 0
    self._process = subprocess.Popen(
      [sys.executable, script, json.dumps(job)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      cwd=root,
      # PyTorch is compared on the CPU.
      env=os.environ | {"PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"},
    )

  def about(self) -> dict[str, Any]:
    """Wait until the work is compiled, and return its description."""
    return self._reply()

  def run(self) -> None:
    """Run the work, and keep the durations."""
    assert self._process.stdin
    print("run", file=self._process.stdin, flush=True)
    reply = self._reply()
    self.seconds += reply["seconds"]
    self.memory = reply["memory"]

  @property
  def fastest(self) -> float:
    """Shortest duration of a run, in seconds."""
    return min(self.seconds)

  @property
  def median(self) -> float:
    """Median duration of a run, in seconds."""
    return statistics.median(self.seconds)

  def close(self) -> None:
    """End the process."""
    self._process.kill()
    self._process.communicate()

  def _reply(self) -> dict[str, Any]:
    assert self._process.stdout
    line = self._process.stdout.readline()
    if not line:
      raise ValueError(
        f"{self.name}: its process ended with status {self._process.wait()}; "
        "expected a duration; see the messages above"
      )
    return json.loads(line)


def interleave(workers: list[Worker], rounds: int, seconds: float) -> list[str]:
  """Run all workers in turn, again and again, and end them.

  Args:
    workers: processes; the work of one at a time runs.
    rounds: least number of rounds.
    seconds: time to fill with further rounds.

  Returns:
    For each worker the dtype that "auto" stands for, "" if it has none.
  """
  try:
    autos = [worker.about().get("auto", "") for worker in workers]
    end, done = time.monotonic() + seconds, 0
    while done < rounds or time.monotonic() < end:
      for worker in workers:
        worker.run()
      done += 1
  finally:
    for worker in workers:
      worker.close()
  return autos
