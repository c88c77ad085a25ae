"""Make many files, in one process or in several that share the work."""

import functools
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import filelock

from stemgen_jax import progress

Job = tuple[pathlib.Path, *tuple[Any, ...]]
"""A file, and the arguments of the function that makes it."""
T = TypeVar("T")
Run = Callable[[Callable[[Job], bool], list[Job]], Iterator[bool]]
"""`map`, or one that calls the function in worker processes."""

_PAUSE = 1.0  # seconds between checks of files that other processes make


def fill(
  jobs: Iterable[Job],
  make: Callable[..., object],
  load: Callable[[pathlib.Path], T],
  *,
  count: int,
  desc: str,
  run: Run | None = None,
) -> dict[pathlib.Path, T]:
  """Make the missing files, with a progress bar, and read all.

  Processes with the same files, on one machine or on a shared disk that
  supports flock, each make files that no other is making. They hold a lock,
  which is released when a process ends: others then make its file.

  Args:
    jobs: jobs in order; the next is requested after the one before is done.
    make: called as `make(*job)`; writes a complete file or none.
    load: reads a file as soon as it exists, so that a corrupt one is reported
      before more work is done.
    count: number of jobs.
    desc: title of the progress bar.
    run: runs all jobs at once, in worker processes; `make` is pickled for it.

  Returns:
    Contents of the files, in the order of the jobs.
  """
  found: dict[pathlib.Path, T] = {}
  order: list[pathlib.Path] = []
  others: list[Job] = []
  with progress.bar(total=count, desc=desc, unit="example", seconds=0.5) as bar:

    def work(jobs: list[Job]) -> list[Job]:
      """Do jobs; return those that other processes hold."""
      held = []
      made = functools.partial(_made, make=make)
      for job, done in zip(jobs, (run or map)(made, jobs)):
        if done:
          found[job[0]] = load(job[0])
          bar.update()
        else:
          held.append(job)
      return held

    # With workers all jobs are one group, else each is its own.
    for group in [list(jobs)] if run else ([job] for job in jobs):
      order += [job[0] for job in group]
      made_before = sum(job[0].is_file() for job in group)
      bar.initial += made_before  # the rate counts this run's files only
      # Files of other processes are read as soon as they are complete.
      others = work([*others, *group])
    while others:
      bar.set_postfix_str(f"waiting for another process: {others[0][0].name}")
      time.sleep(_PAUSE)
      others = work(others)
  return {path: found[path] for path in order}


def _made(job: Job, make: Callable[..., object]) -> bool:
  """Make a missing file; return False if another process is making it."""
  path = job[0]
  if path.is_file():
    return True
  lock = path.with_suffix(".lock")
  try:
    with filelock.FileLock(lock, blocking=False):
      if not path.is_file():  # made meanwhile by another process
        make(*job)
      lock.unlink(missing_ok=True)
  except filelock.Timeout:
    return False
  return True
