"""Songs into codes: one file per song, the unit of work and of restart.

A song's file appears whole or not at all, and its content depends on nothing
but the song, the codec and the pair config, so a preparation that was killed
goes on with the songs that are missing, on any number of processes.
"""

import dataclasses
import multiprocessing
import os
import pathlib
import sys
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import tqdm
from jaxtyping import Bool, Float, UInt16

from stemgen_jax import audio, categories
from stemgen_jax.codec import Codec
from stemgen_jax.data import pairs, songs

# Seconds of audio in one call of the codec: enough to keep it busy, while its
# first layers need some 100 MB for each minute.
_ENCODE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SongCodes:
  """The pairs of one song; axis 0 of every array is the pair.

  Attributes:
    context: uint16 [pairs, t, q].
    target: uint16 [pairs, t, q].
    context_active: bool [pairs, seconds]; all False for an empty context.
    target_active: bool [pairs, seconds].
    gains: float32 [pairs, stems], of each stem of the song in the context.
    context_rms_db: float32, level of the context, dB of full scale.
    stem: int32, the target's number in the song.
    category: int32 id of the target.
    genre: int32 id.
    segment: int32, number of the segment.
    index: int32, number of the pair in the segment.
    start: float32, where the segment begins in the song, in seconds.
  """

  context: np.ndarray
  target: np.ndarray
  context_active: np.ndarray
  target_active: np.ndarray
  gains: np.ndarray
  context_rms_db: np.ndarray
  stem: np.ndarray
  category: np.ndarray
  genre: np.ndarray
  segment: np.ndarray
  index: np.ndarray
  start: np.ndarray

  @property
  def has_context(self) -> Bool[np.ndarray, " pairs"]:
    """Which pairs have something to hear."""
    # Without pairs there is no second axis either.
    return np.array([active.any() for active in self.context_active], bool)

  @classmethod
  def load(cls, path: pathlib.Path) -> "SongCodes":
    """Reads a song's file.

    Raises:
      ValueError: it is damaged.
    """
    try:
      with np.load(path, allow_pickle=False) as arrays:
        return cls(**{name: arrays[name] for name in arrays.files})
    except (TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
      raise ValueError(
        f"{path} is damaged ({error}): delete it and prepare again"
      ) from error

  def save(self, path: pathlib.Path) -> None:
    """Writes a song's file in one step."""
    partial = path.with_name(f"{path.name}.partial")
    with open(partial, "wb") as file:
      np.savez(file, **vars(self))
    os.replace(partial, path)


def song_path(folder: pathlib.Path, song_id: str) -> pathlib.Path:
  """Where the codes of a song lie; any id makes a valid file name."""
  return folder / (urllib.parse.quote(song_id, safe="") + ".npz")


def encode_song(
  song: songs.Song, codec: Codec, config: pairs.PairConfig
) -> SongCodes:
  """Draws the pairs of a song and encodes their contexts and targets.

  A stem that is the target of several pairs of a segment is encoded once; a
  context has to be mixed before it is encoded, so each is. A silent song has
  no pairs.
  """
  stems = np.stack([_read(stem, song, codec) for stem in song.stems])
  rate = codec.sample_rate
  length = round(config.segment_seconds * rate)
  rows = []
  for segment, start in enumerate(
    pairs.segment_starts(stems.shape[1] / rate, config.segment_seconds)
  ):
    first = round(start * rate)
    clips = np.stack(
      [audio.fit(stem[first : first + length], length) for stem in stems]
    )
    for row in _encode_segment(song, segment, clips, codec, config):
      rows.append(row | {"start": np.float32(first / rate)})
  names = [field.name for field in dataclasses.fields(SongCodes)]
  return SongCodes(
    **{name: np.array([row[name] for row in rows]) for name in names}
  )


def _encode_segment(
  song: songs.Song,
  segment: int,
  clips: Float[np.ndarray, "stems samples channels"],
  codec: Codec,
  config: pairs.PairConfig,
) -> Iterator[dict[str, Any]]:
  """The pairs of one segment, without where it begins."""
  rate = codec.sample_rate
  active = np.stack([_activity(clip, rate, config) for clip in clips])
  chosen = pairs.choose_pairs(config, song.id, segment, active)
  mixes = [pairs.mix_context(clips, pair) for pair in chosen]
  targets = sorted({pair.target for pair in chosen})
  codes = _encode(codec, [*clips[targets], *(mix for mix, _ in mixes)])
  target_codes = dict(zip(targets, codes))
  contexts = codes[len(targets) :]
  for pair, (mix, gains), context in zip(chosen, mixes, contexts):
    category = song.stems[pair.target].category
    yield {
      "context": context,
      "target": target_codes[pair.target],
      "context_active": _activity(mix, rate, config),
      "target_active": active[pair.target],
      "gains": gains,
      "context_rms_db": np.float32(audio.rms_db(mix)),
      "stem": np.int32(pair.target),
      "category": np.int32(categories.category_id(category)),
      "genre": np.int32(categories.GENRES.index(song.genre)),
      "segment": np.int32(segment),
      "index": np.int32(pair.index),
    }


def silence_codes(codec: Codec, seconds: float) -> UInt16[np.ndarray, "t q"]:
  """Codes of silence of that length: what an empty context sounds like."""
  samples = round(seconds * codec.sample_rate)
  return _encode(codec, [np.zeros((samples, codec.channels), np.float32)])[0]


def _read(
  stem: songs.Stem, song: songs.Song, codec: Codec
) -> Float[np.ndarray, "samples channels"]:
  """A stem's audio in the codec's rate and channels."""
  samples = stem.read()
  if samples.shape[1] != codec.channels:
    samples = audio.spread(audio.fold_down(samples), codec.channels)
  return audio.resample(samples, song.sample_rate, codec.sample_rate)


def _activity(
  clip: Float[np.ndarray, "samples channels"],
  rate: int,
  config: pairs.PairConfig,
) -> np.ndarray:
  return pairs.active_seconds(clip, rate, config.threshold_db)


def _encode(
  codec: Codec, clips: Sequence[Float[np.ndarray, "samples channels"]]
) -> list[UInt16[np.ndarray, "t q"]]:
  """Encodes clips of one length, a few at a time."""
  if not clips:
    return []
  seconds = len(clips[0]) / codec.sample_rate
  step = max(1, int(_ENCODE_SECONDS / seconds))
  return [
    codes.astype(np.uint16)
    for first in range(0, len(clips), step)
    for codes in codec.encode(np.stack(clips[first : first + step]))
  ]


def encode_missing(
  source: songs.Songs,
  song_ids: Sequence[str],
  load_codec: Callable[[], Codec],
  config: pairs.PairConfig,
  folder: pathlib.Path,
  *,
  workers: int,
) -> None:
  """Encodes the songs of a source that have no file in `folder` yet.

  Args:
    source: where the songs come from; they are pickled for the workers.
    song_ids: of all its songs.
    load_codec: makes the codec, once per worker; pickled too.
    config: how pairs are drawn.
    folder: of the songs' files.
    workers: processes of one thread each; 0 works in this process.

  Raises:
    ValueError: a song cannot be read; names it.
    OSError: a worker was killed, e.g. for want of memory.
  """
  missing = {i for i in song_ids if not song_path(folder, i).exists()}
  if not missing:
    return
  todo = (song for song in source.songs() if song.id in missing)
  if workers:
    encoded = _in_processes(
      todo, load_codec, config, folder, min(workers, len(missing))
    )
  else:
    codec = load_codec()
    encoded = (_encode_to_file(song, codec, config, folder) for song in todo)
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


def _encode_to_file(
  song: songs.Song,
  codec: Codec,
  config: pairs.PairConfig,
  folder: pathlib.Path,
) -> float:
  """Writes the song's file; returns the seconds of audio encoded."""
  try:
    codes = encode_song(song, codec, config)
  except (ValueError, OSError) as error:
    raise ValueError(f"song {song.id}: {error}") from error
  codes.save(song_path(folder, song.id))
  targets = set(zip(codes.segment.tolist(), codes.stem.tolist()))
  return (len(targets) + len(codes.index)) * config.segment_seconds


def _in_processes(
  todo: Iterable[songs.Song],
  load_codec: Callable[[], Codec],
  config: pairs.PairConfig,
  folder: pathlib.Path,
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
      pending.add(pool.submit(_encode_in_worker, song, config, folder))
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


def _encode_in_worker(
  song: songs.Song, config: pairs.PairConfig, folder: pathlib.Path
) -> float:
  return _encode_to_file(song, _codec, config, folder)
