"""Encode the songs that have no current file yet, on any number of processes.

A song's file is written in one step, so a preparation that was killed resumes
with the missing songs.
"""

import contextlib
import multiprocessing
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from stemgen_jax import progress, signals
from stemgen_jax.codec import Codec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import encoding, song_codes, suspicious

_MEMORY = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def find_missing(
  listed: Sequence[songs.Song],
  summaries: Mapping[str, song_codes.Summary],
  folder: pathlib.Path,
  *,
  retry: bool = True,
  keep_suspicious: bool = False,
) -> list[songs.Song]:
  """Return the songs that are still to be encoded.

  A song whose files or labels have changed since it was encoded is missing.

  Args:
    listed: songs that can be used.
    summaries: song id -> summary of its file, where there is one.
    folder: folder of the songs' files.
    retry: also return songs of which a stem was unreadable.
    keep_suspicious: return songs that were encoded with the other choice, if it
      matters to them.
  """

  def is_current(song: songs.Song) -> bool:
    summary = summaries.get(song.id)
    if summary is None:
      return False
    if retry and any(p.kind == "unreadable file" for p in summary.problems):
      return False
    if any(
      p.kind in suspicious.KINDS and p.left_out == keep_suspicious
      for p in summary.problems
    ):
      return False
    # Sources without files, such as the band, do not change.
    return not summary.made_of or (
      song.made_of() == summary.made_of
      and not _is_newer(song, song_codes.song_path(folder, song.id))
    )

  return [song for song in listed if not is_current(song)]


def _is_newer(song: songs.Song, path: pathlib.Path) -> bool:
  """Return True if a file of the song was written after `path`."""
  written = path.stat().st_mtime
  # A date in the future, from a wrong clock, would encode the song every time.
  return any(
    written < file.stat().st_mtime <= time.time()
    for file in song.files
    if file.exists()
  )


def encode_missing(
  missing: Sequence[songs.Song],
  load_codec: Callable[[], Codec],
  task: encoding.Task,
  *,
  workers: int,
  done: int,
) -> dict[str, song_codes.Summary]:
  """Encode songs, each to its file, and return their summaries by id.

  Args:
    missing: songs to encode; pickled for the workers.
    load_codec: makes the codec, once per worker; pickled too.
    task: settings of the preparation.
    workers: processes of one thread each; 0 encodes in this process.
    done: number of songs that are encoded already, for the progress bar.

  Raises:
    ValueError: a song cannot be rendered, or `strict` stopped at it.
    OSError: a worker was killed, for example for lack of memory.
  """
  if not missing:
    return {}
  if workers:
    workers = min(workers, len(missing))
    encoded = _in_processes(missing, load_codec, task, workers)
  else:
    codec = load_codec()
    encoded = (encoding.encode_to_file(song, codec, task) for song in missing)
  summaries = {}
  with progress.bar(
    encoded,
    total=done + len(missing),
    initial=done,
    desc="encoding",
    unit="song",
  ) as bar:
    begin, total = time.monotonic(), 0.0
    for song_id, seconds, summary in bar:
      summaries[song_id] = summary
      total += seconds
      rate = total / (time.monotonic() - begin)
      bar.set_postfix_str(f"{rate:.1f} s of audio per second", refresh=False)
  return summaries


def _in_processes(
  missing: Sequence[songs.Song],
  load_codec: Callable[[], Codec],
  task: encoding.Task,
  workers: int,
) -> Iterator[encoding.Encoded]:
  with pool(
    workers, _load_codec, load_codec, kept="the songs that are done are kept"
  ) as executor:
    pending: set[futures.Future[encoding.Encoded]] = set()
    for song in missing:
      pending.add(executor.submit(_encode_in_worker, song, task))
      # Songs are pickled when they are submitted: keep only a few in memory.
      if len(pending) > 2 * workers:
        done, pending = futures.wait(pending, None, futures.FIRST_COMPLETED)
        for future in done:
          yield future.result()
    for future in futures.as_completed(pending):
      yield future.result()


@contextlib.contextmanager
def pool(
  workers: int, start: Callable[..., object], *arguments: Any, kept: str
) -> Iterator[futures.ProcessPoolExecutor]:
  """Start processes of one thread each; they end with this process.

  Args:
    workers: number of processes.
    start: called once in each, before its first task; pickled.
    *arguments: its arguments; pickled.
    kept: results that a run which fails leaves, for the message.

  Raises:
    OSError: a worker was killed, for example for lack of memory.
  """
  # Read when a process starts, before it has imported anything. glibc returns
  # the codec's large buffers to the system after each layer; keeping them
  # encodes 1.8 times as fast.
  variables = dict.fromkeys(_MEMORY, str(1 << 33)) | dict.fromkeys(
    # Processes are the parallelism, and results must not depend on threads.
    _THREADS,
    "1",
  )
  before = {name: os.environ.get(name) for name in variables}
  os.environ |= variables
  # Spawned, not forked: this process may hold threads of jax and of torch.
  with signals.blocked():
    executor = _Pool(
      workers,
      mp_context=multiprocessing.get_context("spawn"),
      initializer=_start_worker,
      initargs=(start, arguments),
    )
  try:
    yield executor
  except (KeyboardInterrupt, GeneratorExit):
    # What they are making is made again by the next run.
    for process in multiprocessing.active_children():
      process.kill()
    raise
  except BrokenProcessPool as error:
    raise OSError(
      "a worker process died, perhaps for lack of memory: try fewer "
      f"--workers; {kept}"
    ) from error
  finally:
    executor.shutdown(cancel_futures=True)
    for name, value in before.items():
      if value is None:
        del os.environ[name]
      else:
        os.environ[name] = value


class _Pool(futures.ProcessPoolExecutor):
  """A pool whose processes do not notice signals before `_start_worker`."""

  def submit(self, *args: Any, **kwargs: Any) -> futures.Future[Any]:
    """Submit a call, and start a process if there are too few."""
    with signals.blocked():
      return super().submit(*args, **kwargs)


_codec: Codec  # of a worker process


def _start_worker(
  start: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
  signals.in_worker()
  threading.Thread(target=_end_with_parent, daemon=True).start()
  start(*arguments)


def _load_codec(load_codec: Callable[[], Codec]) -> None:
  global _codec
  _codec = load_codec()


def _end_with_parent() -> None:
  """Exit when the parent is killed, instead of waiting for ever."""
  parent = multiprocessing.parent_process()
  if parent is not None:
    parent.join()
    os._exit(1)


def _encode_in_worker(
  song: songs.Song, task: encoding.Task
) -> encoding.Encoded:
  return encoding.encode_to_file(song, _codec, task)
