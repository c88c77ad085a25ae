"""Many files to make, by one process or by several that share the work."""

import pathlib
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import filelock
import tqdm

Job = tuple[pathlib.Path, *tuple[Any, ...]]
"""A file, and what there is to know to make it."""
T = TypeVar("T")

_PAUSE = 1.0  # seconds between looks at what others are at work on


def fill(
  jobs: Iterable[Job],
  make: Callable[..., object],
  load: Callable[[pathlib.Path], T],
  *,
  count: int,
  desc: str,
) -> dict[pathlib.Path, T]:
  """Makes the files that are not there yet, with a progress bar, and reads all.

  Processes that are given the same files, on one machine or on a shared disk
  that has flock, each make what no other is at work on. A lock tells, which
  goes with the process that holds it: what one that was stopped left half done
  is taken up by the others.

  Args:
    jobs: in turn; each is asked for after the one before is done.
    make: called as `make(*job)`; writes the file whole or not at all.
    load: reads a file, as soon as it is met, so that a damaged one is told
      before there is more work.
    count: of the jobs.
    desc: what the progress bar calls the work.

  Returns:
    What is in the files, in the order of the jobs.
  """
  found: dict[pathlib.Path, T] = {}
  order: list[pathlib.Path] = []
  others: list[Job] = []
  with tqdm.tqdm(
    total=count,
    desc=desc,
    unit="example",
    mininterval=0.5 if sys.stderr.isatty() else 30,
  ) as bar:

    def work(jobs: list[Job]) -> list[Job]:
      """What other processes are at work on; the rest is done."""
      held = []
      for job in jobs:
        if _made(job, make):
          found[job[0]] = load(job[0])
          bar.update()
        else:
          held.append(job)
      return held

    for job in jobs:
      order.append(job[0])
      made_before = job[0].is_file()
      others = work([*others, job])
      bar.initial += made_before  # so that the rate is that of this run
    while others:
      bar.set_postfix_str(f"another process makes {others[0][0].name}")
      time.sleep(_PAUSE)
      others = work(others)
  return {path: found[path] for path in order}


def _made(job: Job, make: Callable[..., object]) -> bool:
  """Makes a file, unless it is there or another process is at work on it."""
  path = job[0]
  if path.is_file():
    return True
  lock = path.with_suffix(".lock")
  try:
    with filelock.FileLock(lock, blocking=False):
      if not path.is_file():  # another may have made it meanwhile
        make(*job)
      lock.unlink(missing_ok=True)
  except filelock.Timeout:
    return False
  return True
