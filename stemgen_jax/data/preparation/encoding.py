"""Encode a song: draw its pairs, and encode their contexts and targets.

The content of a song's file depends only on the song, the codec and the pair
config, not on the process or the order in which songs are encoded.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt16

from stemgen_jax import audio, categories, disk
from stemgen_jax.codec import Codec, ScaledCodec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import (
  pairs,
  problems,
  song_audio,
  song_codes,
  song_stems,
  suspicious,
)
from stemgen_jax.data.preparation.activity import active_seconds

# Seconds of audio per call of the codec: enough to keep it busy; its first
# layers need about 100 MB per minute.
_ENCODE_SECONDS = 60.0


def encode_song(
  song: songs.Song,
  codec: Codec,
  config: pairs.PairConfig,
  *,
  keep_suspicious: bool = False,
) -> song_codes.SongCodes:
  """Draw the pairs of a song and encode their contexts and targets.

  A stem that is the target of several pairs of a segment is encoded once;
  every context is mixed and encoded separately. An unreadable stem counts as
  silent, and a silent song has no pairs; both are reported in `problems`, as
  are suspicious stems, which are not targets unless `keep_suspicious`.
  """
  made_of = song.made_of()  # before reading, in case a file changes meanwhile
  stems, found = song_audio.read_stems(  # [s, n, c]
    song, codec, config, keep_suspicious=keep_suspicious
  )
  rate = codec.sample_rate
  length = round(config.segment_seconds * rate)
  sounding = np.zeros(len(stems), bool)
  unfit = {x.stem for x in found if x.left_out and x.kind in suspicious.KINDS}
  targetable = np.array(
    [stem.target and stem.name not in unfit for stem in song.stems]
  )
  rows, segments = [], []
  for segment, start in enumerate(
    pairs.segment_starts(stems.shape[1] / rate, config.segment_seconds)
  ):
    first = round(start * rate)
    clips = np.stack(
      [audio.fit(stem[first : first + length], length) for stem in stems]
    )
    # [stems, seconds]
    active = np.stack(
      [active_seconds(clip, rate, config.threshold_db) for clip in clips]
    )
    sounding |= active.any(axis=1)
    start_seconds = {"start": np.float32(first / rate)}
    able = pairs.can_be_target(config, active, targetable)
    encoded, codes = _encode_segment(
      song, segment, clips, active, able, codec, config
    )
    rows += [row | start_seconds for row in encoded]
    if config.contexts == "spectrum" and able.any():
      stems_row = song_stems.measure(song, clips, active, able, codes, codec)
      segments.append(stems_row | start_seconds)
  found += _silences(song, sounding, targetable, bool(rows), found, config)
  names = song_codes.COLUMNS
  if isinstance(codec, ScaledCodec):
    names += song_codes.SCALES
  columns = {name: np.array([row[name] for row in rows]) for name in names}
  return song_codes.SongCodes(
    **columns,
    problems=tuple(found),
    made_of=made_of,
    stems=song_stems.join(segments) if segments else None,
  )


def _silences(
  song: songs.Song,
  sounding: Bool[np.ndarray, " stems"],
  targetable: Bool[np.ndarray, " stems"],
  has_pairs: bool,
  known: Sequence[songs.Problem],
  config: pairs.PairConfig,
) -> list[songs.Problem]:
  """Report silent stems, a silent song, and a song without pairs."""
  never = f"nothing in it is above {config.threshold_db:g} dB"
  if not sounding.any():
    return [songs.Problem("silent song", f"{never}, in any of its stems")]
  unread = {problem.stem for problem in known if problem.left_out}
  found = [
    songs.Problem("silent stem", never, stem.name, left_out=False)
    for stem, sounds in zip(song.stems, sounding)
    if not sounds and stem.name not in unread
  ]
  if not has_pairs and not (sounding & targetable).any():
    found.append(songs.Problem("no target", "none that sounds may be a target"))
  elif not has_pairs:
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
  able: Bool[np.ndarray, " stems"],
  codec: Codec,
  config: pairs.PairConfig,
) -> tuple[list[dict[str, Any]], dict[int, UInt16[np.ndarray, "t q"]]]:
  """Return the pairs of one segment, without its start, and target codes.

  With spectrum contexts these are the codes of all stems that are `able` to be
  a target, by their indices.
  """
  chosen = pairs.choose_pairs(config, song.id, segment, active, able)
  loudness = [audio.loudness_db(clip, codec.sample_rate) for clip in clips]
  mixes = [_mix(clips, pair, codec, config) for pair in chosen]
  # Targets, then mixes, in one list of clips [samples, channels].
  targets = sorted({pair.target for pair in chosen})
  if config.contexts == "spectrum":
    targets = np.flatnonzero(able).tolist()
  stems = [clips[i] * np.float32(_gain(loudness[i], config)) for i in targets]
  encoded = _encode(codec, [*stems, *(mix.samples for mix in mixes)])
  target_codes = dict(zip(targets, encoded))
  contexts = encoded[len(targets) :]
  rows = []
  for pair, mix, context in zip(chosen, mixes, contexts):
    stem = song.stems[pair.target]
    target = target_codes[pair.target]
    row = {
      "context": context.codes,
      "target": target.codes,
      "context_scales": context.scales,
      "target_scales": target.scales,
      "context_active": mix.active,
      "target_active": active[pair.target],
      "gains": mix.gains,
      "context_rms_db": np.float32(audio.rms_db(mix.samples)),
      # NaN if the context is silence.
      "relative_db": np.float32(
        loudness[pair.target] - mix.loudness_db if pair.context else np.nan
      ),
      "stem": np.int32(pair.target),
      "category": np.int32(categories.category_id(stem.category)),
      "role": np.int32(categories.role_id(stem.role, stem.category)),
      "genre": np.int32(categories.GENRES.index(song.genre)),
      "segment": np.int32(segment),
      "index": np.int32(pair.index),
    }
    rows.append(row)
  return rows, {stem: clip.codes for stem, clip in target_codes.items()}


class _Mix(NamedTuple):
  """A context at the loudness of the configuration.

  Attributes:
    samples: the mix.
    gains: linear gain of each stem of the song in it, 0 where left out.
    active: seconds in which it sounds at the loudness of the song.
    loudness_db: its loudness in the song.
  """

  samples: Float[np.ndarray, "samples channels"]
  gains: Float[np.ndarray, " stems"]
  active: Bool[np.ndarray, " seconds"]
  loudness_db: float


def _mix(
  clips: Float[np.ndarray, "stems samples channels"],
  pair: pairs.Pair,
  codec: Codec,
  config: pairs.PairConfig,
) -> _Mix:
  # Not limited before it is normalized: the loudness of the target is relative
  # to that of the mix in the song.
  normalized = config.loudness_db is not None
  samples, gains = pairs.mix_context(clips, pair, limit=not normalized)
  active = active_seconds(samples, codec.sample_rate, config.threshold_db)
  loudness_db = audio.loudness_db(samples, codec.sample_rate)
  gain = np.float32(_gain(loudness_db, config))
  return _Mix(gain * samples, gain * gains, active, loudness_db)


def _gain(loudness_db: float, config: pairs.PairConfig) -> float:
  if config.loudness_db is None:
    return 1.0
  return audio.gain_to(loudness_db, config.loudness_db)


def silence_codes(codec: Codec, seconds: float) -> UInt16[np.ndarray, "t q"]:
  """Return the codes of so many seconds of silence, the empty context."""
  samples = round(seconds * codec.sample_rate)
  silence = np.zeros((samples, codec.channels), np.float32)
  return _encode(codec, [silence])[0].codes


class _Codes(NamedTuple):
  """A clip as codes, and its scales if the codec has them."""

  codes: UInt16[np.ndarray, "t q"]
  scales: Float32[np.ndarray, " segments"] | None


def _encode(
  codec: Codec, clips: Sequence[Float[np.ndarray, "samples channels"]]
) -> list[_Codes]:
  """Encode clips of one length, a few at a time."""
  if not clips:
    return []
  seconds = len(clips[0]) / codec.sample_rate
  step = max(1, int(_ENCODE_SECONDS / seconds))
  encoded = []
  for first in range(0, len(clips), step):
    batch = np.stack(clips[first : first + step])
    codes = codec.encode(batch).astype(np.uint16)  # [b, t, q]
    scaled = isinstance(codec, ScaledCodec)
    scales = codec.scales(batch) if scaled else [None] * len(batch)
    encoded += map(_Codes, codes, scales)
  return encoded


@dataclasses.dataclass(frozen=True)
class Task:
  """Settings shared by all songs of a preparation.

  Attributes:
    config: how pairs are drawn.
    folder: folder of the songs' files.
    strict: raise ValueError if a song or a stem has to be left out.
    keep_suspicious: use suspicious stems as targets, see `suspicious`.
  """

  config: pairs.PairConfig
  folder: pathlib.Path
  strict: bool
  keep_suspicious: bool = False


class Encoded(NamedTuple):
  """An encoded song: its id, encoded seconds of audio, and summary."""

  song_id: str
  seconds: float
  summary: song_codes.Summary


def encode_to_file(song: songs.Song, codec: Codec, task: Task) -> Encoded:
  """Encode a song and write its file.

  Raises:
    ValueError: the song cannot be rendered, or `strict` stopped at it.
    OSError: the file cannot be written.
  """
  try:
    codes = encode_song(
      song, codec, task.config, keep_suspicious=task.keep_suspicious
    )
  except (ValueError, OSError) as error:
    raise ValueError(f"song {song.id}: {error}") from error
  if task.strict:
    problems.refuse_left_out([(song.id, found) for found in codes.problems])
  path = song_codes.song_path(task.folder, song.id)
  try:
    codes.save(path)
  except OSError as error:
    raise OSError(
      f"{error}; the songs that are done are kept: {remedy(error)} run the "
      "same command again"
    ) from error
  targets = len(set(zip(codes.segment.tolist(), codes.stem.tolist())))
  if codes.stems is not None:
    targets = int(codes.stems.able.sum())
  clips = targets + len(codes.index)
  seconds = clips * task.config.segment_seconds
  return Encoded(song.id, seconds, codes.summary)


def remedy(error: Exception) -> str:
  """Return the advice before "run the same command again"."""
  full = disk.why_full(error)
  return f"{full[1] if full else 'fix that'}, then"
