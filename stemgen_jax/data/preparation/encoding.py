"""Songs into codes: one file per song, the unit of work and of restart.

A song's file appears whole or not at all, and its content depends on nothing
but the song, the codec and the pair config, so a preparation that was killed
goes on with the songs that are missing, on any number of processes. A song
whose files or labels have changed since counts as missing.
"""

import dataclasses
import errno
import multiprocessing
import os
import pathlib
import sys
import threading
import time
from collections.abc import (
  Callable,
  Collection,
  Iterable,
  Iterator,
  Sequence,
)
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

import numpy as np
import tqdm
from jaxtyping import Bool, Float, Float32, UInt16

from stemgen_jax import audio, categories
from stemgen_jax.codec import Codec, ScaledCodec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import pairs, song_audio, song_codes

# Seconds of audio in one call of the codec: enough to keep it busy, while its
# first layers need some 100 MB for each minute.
_ENCODE_SECONDS = 60.0


def encode_song(
  song: songs.Song, codec: Codec, config: pairs.PairConfig
) -> song_codes.SongCodes:
  """Draws the pairs of a song and encodes their contexts and targets.

  A stem that is the target of several pairs of a segment is encoded once; a
  context has to be mixed before it is encoded, so each is. A stem whose file
  cannot be read is taken as silent, a silent song has no pairs; both are told
  in `problems`.
  """
  made_of = song.made_of()
  stems, problems = song_audio.read_stems(song, codec, config)
  rate = codec.sample_rate
  length = round(config.segment_seconds * rate)
  heard = np.zeros(len(stems), bool)
  rows = []
  for segment, start in enumerate(
    pairs.segment_starts(stems.shape[1] / rate, config.segment_seconds)
  ):
    first = round(start * rate)
    clips = np.stack(
      [audio.fit(stem[first : first + length], length) for stem in stems]
    )
    active = np.stack([_activity(clip, rate, config) for clip in clips])
    heard |= active.any(axis=1)
    for row in _encode_segment(song, segment, clips, active, codec, config):
      rows.append(row | {"start": np.float32(first / rate)})
  problems += _silences(song, heard, bool(rows), problems, config)
  names = song_codes.COLUMNS
  if isinstance(codec, ScaledCodec):
    names += song_codes.SCALES
  columns = {name: np.array([row[name] for row in rows]) for name in names}
  return song_codes.SongCodes(
    **columns, problems=tuple(problems), made_of=made_of
  )


def _silences(
  song: songs.Song,
  heard: Bool[np.ndarray, " stems"],
  has_pairs: bool,
  known: Sequence[songs.Problem],
  config: pairs.PairConfig,
) -> list[songs.Problem]:
  """Which stems are never heard, and whether the song is left out for it."""
  never = f"nothing in it is above {config.threshold_db:g} dB"
  if not heard.any():
    return [songs.Problem("silent song", f"{never}, in any of its stems")]
  unread = {problem.stem for problem in known}
  found = [
    songs.Problem("silent stem", never, stem.name, left_out=False)
    for stem, sounds in zip(song.stems, heard)
    if not sounds and stem.name not in unread
  ]
  if not has_pairs:
    message = (
      "no two of its stems sound together for "
      f"{config.min_active * config.segment_seconds:g} s, --min_active="
      f"{config.min_active:g} of --segment_seconds={config.segment_seconds:g}"
    )
    found.append(songs.Problem("no pair", message))
  return found


def _encode_segment(
  song: songs.Song,
  segment: int,
  clips: Float[np.ndarray, "stems samples channels"],
  active: Bool[np.ndarray, "stems seconds"],
  codec: Codec,
  config: pairs.PairConfig,
) -> Iterator[dict[str, Any]]:
  """The pairs of one segment, without where it begins."""
  playable = np.array([stem.target for stem in song.stems])
  chosen = pairs.choose_pairs(config, song.id, segment, active, playable)
  mixes = [pairs.mix_context(clips, pair) for pair in chosen]
  targets = sorted({pair.target for pair in chosen})
  encoded = _encode(codec, [*clips[targets], *(mix for mix, _ in mixes)])
  target_codes = dict(zip(targets, encoded))
  contexts = encoded[len(targets) :]
  for pair, (mix, gains), context in zip(chosen, mixes, contexts):
    played = song.stems[pair.target]
    target = target_codes[pair.target]
    yield {
      "context": context.codes,
      "target": target.codes,
      "context_scales": context.scales,
      "target_scales": target.scales,
      "context_active": _activity(mix, codec.sample_rate, config),
      "target_active": active[pair.target],
      "gains": gains,
      "context_rms_db": np.float32(audio.rms_db(mix)),
      "stem": np.int32(pair.target),
      "category": np.int32(categories.category_id(played.category)),
      "role": np.int32(categories.role_id(played.role, played.category)),
      "genre": np.int32(categories.GENRES.index(song.genre)),
      "segment": np.int32(segment),
      "index": np.int32(pair.index),
    }


def silence_codes(codec: Codec, seconds: float) -> UInt16[np.ndarray, "t q"]:
  """Codes of silence of that length: what an empty context sounds like."""
  samples = round(seconds * codec.sample_rate)
  silence = np.zeros((samples, codec.channels), np.float32)
  return _encode(codec, [silence])[0].codes


def _activity(
  clip: Float[np.ndarray, "samples channels"],
  rate: int,
  config: pairs.PairConfig,
) -> np.ndarray:
  return pairs.active_seconds(clip, rate, config.threshold_db)


class _Encoded(NamedTuple):
  """A clip as its codec has it."""

  codes: UInt16[np.ndarray, "t q"]
  scales: Float32[np.ndarray, " segments"] | None


def _encode(
  codec: Codec, clips: Sequence[Float[np.ndarray, "samples channels"]]
) -> list[_Encoded]:
  """Encodes clips of one length, a few at a time."""
  if not clips:
    return []
  seconds = len(clips[0]) / codec.sample_rate
  step = max(1, int(_ENCODE_SECONDS / seconds))
  encoded = []
  for first in range(0, len(clips), step):
    batch = np.stack(clips[first : first + step])
    codes = codec.encode(batch).astype(np.uint16)
    scales = [None] * len(batch)
    if isinstance(codec, ScaledCodec):
      scales = codec.scales(batch)
    encoded += map(_Encoded, codes, scales)
  return encoded


def encode_missing(
  source: songs.Songs,
  song_ids: Sequence[str],
  load_codec: Callable[[], Codec],
  config: pairs.PairConfig,
  folder: pathlib.Path,
  *,
  workers: int,
  strict: bool = False,
) -> None:
  """Encodes the songs of a source that have no file in `folder` yet.

  Those that have changed since, or of which a stem could not be read, are
  encoded anew.

  Args:
    source: where the songs come from; they are pickled for the workers.
    song_ids: of all its songs.
    load_codec: makes the codec, once per worker; pickled too.
    config: how pairs are drawn.
    folder: of the songs' files.
    workers: processes of one thread each; 0 works in this process.
    strict: stop at the first song of which something is left out.

  Raises:
    ValueError: a song cannot be rendered, or `strict` stopped it; names it.
    OSError: a worker was killed, e.g. for want of memory.
  """
  missing = find_missing(source, song_ids, folder)
  if not missing:
    return
  task = Task(config, folder, strict)
  todo = _first_of_each(source, missing)
  if workers:
    encoded = _in_processes(todo, load_codec, task, min(workers, len(missing)))
  else:
    codec = load_codec()
    encoded = (encode_to_file(song, codec, task) for song in todo)
  with tqdm.tqdm(
    encoded,
    total=len(song_ids),
    initial=len(song_ids) - len(missing),
    desc="encoding",
    unit="song",
    mininterval=0.2 if sys.stderr.isatty() else 30,
  ) as bar:
    begin, total = time.monotonic(), 0.0
    for seconds in bar:
      total += seconds
      rate = total / (time.monotonic() - begin)
      bar.set_postfix_str(f"{rate:.1f} s of audio per second", refresh=False)


@dataclasses.dataclass(frozen=True)
class Task:
  """What is the same for every song of a run."""

  config: pairs.PairConfig
  folder: pathlib.Path
  strict: bool


def find_missing(
  source: songs.Songs,
  song_ids: Sequence[str],
  folder: pathlib.Path,
  *,
  retry: bool = True,
) -> set[str]:
  """Ids of the songs that are still to be encoded.

  Args:
    source: of the songs.
    song_ids: of all its songs.
    folder: of the songs' files.
    retry: also those of which a stem could not be read.

  Raises:
    ValueError: a song's file is damaged.
  """
  missing, made_of = set(), {}
  for song_id in song_ids:
    path = song_codes.song_path(folder, song_id)
    if not path.exists():
      missing.add(song_id)
      continue
    problems, made_of[song_id] = song_codes.facts_of(path)
    if retry and any(problem.kind == "unreadable file" for problem in problems):
      missing.add(song_id)
  # Not asked of a source that has no files, such as the band.
  doubtful = {song_id for song_id, made in made_of.items() if made} - missing
  for song in _first_of_each(source, doubtful) if doubtful else ():
    path = song_codes.song_path(folder, song.id)
    if song.made_of() != made_of[song.id] or _is_newer(song, path):
      missing.add(song.id)
  return missing


def _is_newer(song: songs.Song, path: pathlib.Path) -> bool:
  """Whether a file of the song was written after `path`."""
  written = path.stat().st_mtime
  # A clock that was wrong must not make it be encoded for ever.
  return any(
    written < file.stat().st_mtime <= time.time()
    for file in song.files
    if file.exists()
  )


def _first_of_each(
  source: songs.Songs, ids: Collection[str]
) -> Iterator[songs.Song]:
  """The songs of these ids; of two with one id the first."""
  left = set(ids)
  for song in source.songs():
    if song.id in left:
      left.remove(song.id)
      yield song


def encode_to_file(song: songs.Song, codec: Codec, task: Task) -> float:
  """Writes the song's file; returns the seconds of audio encoded.

  Raises:
    ValueError: the song cannot be rendered, or `strict` stopped it; names it.
    OSError: its file cannot be written.
  """
  try:
    codes = encode_song(song, codec, task.config)
  except (ValueError, OSError) as error:
    raise ValueError(f"song {song.id}: {error}") from error
  bad = [problem for problem in codes.problems if problem.left_out]
  if task.strict and bad:
    raise ValueError(
      f"--strict: song {song.id}: {bad[0].stem or 'left out'}: "
      f"{bad[0].message}; mend it, or prepare without --strict"
    )
  path = song_codes.song_path(task.folder, song.id)
  try:
    codes.save(path)
  except OSError as error:
    raise OSError(
      f"cannot write {path}: {error.strerror or error}; the songs that are "
      f"done are kept: {remedy(error)} the same command again"
    ) from error
  targets = set(zip(codes.segment.tolist(), codes.stem.tolist()))
  return (len(targets) + len(codes.index)) * task.config.segment_seconds


def is_full(error: Exception) -> bool:
  """Whether a disk, a quota or a limit on files is what stopped a write."""
  full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
  # The writer of records only passes on the words of the system.
  return getattr(error, "errno", None) in full or any(
    os.strerror(number) in str(error) for number in full
  )


def remedy(error: Exception) -> str:
  """What to do before "the same command again"."""
  return "make room and give" if is_full(error) else "mend that and give"


def _in_processes(
  todo: Iterable[songs.Song],
  load_codec: Callable[[], Codec],
  task: Task,
  workers: int,
) -> Iterator[float]:
  # glibc gives the codec's big buffers back and fetches them anew at each
  # layer; keeping them encodes 1.8 times as fast. Read when a process starts.
  for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(name, str(1 << 33))
  # Spawned, not forked: this process may hold threads of jax and of torch.
  pool = futures.ProcessPoolExecutor(
    workers,
    mp_context=multiprocessing.get_context("spawn"),
    initializer=_start_worker,
    initargs=(load_codec,),
  )
  pending: set[futures.Future[float]] = set()
  try:
    for song in todo:
      pending.add(pool.submit(_encode_in_worker, song, task))
      if len(pending) > 2 * workers:  # songs in memory, most of all
        done, pending = futures.wait(pending, None, futures.FIRST_COMPLETED)
        for future in done:
          yield future.result()
    for future in futures.as_completed(pending):
      yield future.result()
  except BrokenProcessPool as error:
    raise OSError(
      "a worker process died, perhaps for want of memory: try fewer "
      "--workers; the songs that are done are kept"
    ) from error
  finally:
    pool.shutdown(cancel_futures=True)


_codec: Codec  # of a worker process


def _start_worker(load_codec: Callable[[], Codec]) -> None:
  # Before the codec brings in its threads: processes are the parallelism, and
  # results must not depend on their number.
  os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
  threading.Thread(target=_end_with_parent, daemon=True).start()
  global _codec
  _codec = load_codec()


def _end_with_parent() -> None:
  """Workers would wait for ever when their parent is killed."""
  parent = multiprocessing.parent_process()
  if parent is not None:
    parent.join()
    os._exit(1)


def _encode_in_worker(song: songs.Song, task: Task) -> float:
  return encode_to_file(song, _codec, task)
