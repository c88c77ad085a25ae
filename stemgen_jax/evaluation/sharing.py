"""Many files to make, by one process or by several that share the work."""

import pathlib
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import filelock
import tqdm

Job = tuple[pathlib.Path, *tuple[Any, ...]]
"""A file, and what there is to know to make it."""

_PAUSE = 1.0  # seconds between looks at what others are at work on


def fill(
  jobs: Iterable[Job],
  make: Callable[..., object],
  *,
  count: int,
  desc: str,
) -> list[pathlib.Path]:
  """Makes the files that are not there yet, with a progress bar.

  Processes that are given the same files, on one machine or on a shared disk,
  each make what no other is at work on. A lock tells, which goes with the
  process that holds it: what one that was stopped left half done is taken up by
  the others.

  Args:
    jobs: in turn; each is asked for after the one before is done.
    make: called as `make(*job)`; writes the file whole or not at all.
    count: of the jobs.
    desc: what the progress bar calls the work.

  Returns:
    The files, which are all there.
  """
  paths: list[pathlib.Path] = []
  left: list[Job] = []
  with tqdm.tqdm(
    total=count,
    desc=desc,
    unit="example",
    mininterval=0.5 if sys.stderr.isatty() else 30,
  ) as bar:
    for job in jobs:
      paths.append(job[0])
      if job[0].is_file():
        bar.initial += 1  # so that the rate is that of this run
        bar.update()
      else:
        left.append(job)
      left = [job for job in left if not _done(job, make, bar)]
    while left:
      time.sleep(_PAUSE)
      left = [job for job in left if not _done(job, make, bar)]
  return paths


def _done(job: Job, make: Callable[..., object], bar: tqdm.tqdm) -> bool:
  """Does a job, unless another process is at work on it."""
  path = job[0]
  lock = path.with_suffix(".lock")
  try:
    with filelock.FileLock(lock, blocking=False):
      if not path.is_file():
        make(*job)
      lock.unlink(missing_ok=True)
  except filelock.Timeout:
    return False
  bar.update()
  return True
