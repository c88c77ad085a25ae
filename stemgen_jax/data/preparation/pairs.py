"""Which stems are heard and which stem is to be played: pairs of a song.

A song is cut into segments, and of every segment a few pairs are drawn: one
stem is the target, a random subset of the others is the context (StemGen,
section 2). What the paper leaves open is decided here: the distribution over
subset sizes, the silence rule and the share of empty contexts.
"""

import dataclasses
import functools
import math
import zlib

import numpy as np
from jaxtyping import Bool, Float
from scipy import signal

SUBSET_SIZES = ("uniform", "subsets")

_FRAME_SECONDS = 0.1  # of the loudness measure: longer than a cycle at 20 Hz
_PEAK = 0.99  # contexts are mixed below this
_TRIES = 64  # draws for one pair before giving up


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairConfig:
  """How pairs are drawn.

  Attributes:
    segment_seconds: length of a segment, 1 to 60 (the paper's) seconds.
    pairs: pairs per segment; fewer where a segment has fewer different ones.
    empty_share: share of pairs whose context is silence, 0..1, so that the
      model also learns to begin. The paper's count has none, its demo does.
    subset_sizes: "uniform" draws the size of the context first, so one stem
      and all the others are equally likely; "subsets" makes every non-empty
      subset equally likely, which is mostly half of the stems.
    threshold_db: a second is active when the A-weighted RMS of its loudest
      tenth is above this, in dB relative to full scale.
    min_active: share of a segment's seconds in which target and context must
      both be active, 0..1 (for an empty context: the target alone).
    level_db: each stem of a context is raised or lowered by up to this many
      dB at random; 0 leaves the song's own balance.
    seed: of all the draws.

  Raises:
    ValueError: a value is out of its range.
  """

  segment_seconds: float = 60.0
  pairs: int = 6
  empty_share: float = 0.04
  subset_sizes: str = "uniform"
  threshold_db: float = -60.0
  min_active: float = 0.2
  level_db: float = 0.0
  seed: int = 0

  def __post_init__(self):
    for name, fine, expected in (
      ("segment_seconds", 1 <= self.segment_seconds <= 60, "1 to 60"),
      ("pairs", self.pairs >= 1, "at least 1"),
      ("empty_share", 0 <= self.empty_share <= 1, "0 to 1"),
      ("subset_sizes", self.subset_sizes in SUBSET_SIZES, str(SUBSET_SIZES)),
      ("threshold_db", math.isfinite(self.threshold_db), "finite"),
      ("min_active", 0 <= self.min_active <= 1, "0 to 1"),
      ("level_db", 0 <= self.level_db <= 40, "0 to 40"),
      ("seed", self.seed >= 0, "at least 0"),
    ):
      if not fine:
        value = getattr(self, name)
        raise ValueError(f"{name} is {value!r}, expected {expected}")


@dataclasses.dataclass(frozen=True)
class Pair:
  """One pair of a segment, stems given by their number in the song.

  Attributes:
    index: which of the segment's pairs.
    target: the stem to be played.
    context: the stems that are heard, ascending; () is silence.
    gains: linear gain of each of the context's stems.
  """

  index: int
  target: int
  context: tuple[int, ...]
  gains: tuple[float, ...]


@functools.cache
def _a_weighting(sample_rate: int) -> np.ndarray:
  """Second-order sections of the A-weighting curve (IEC 61672), 0 dB at 1 kHz.

  The bilinear transform bends it near half the sample rate, which a measure
  of silence does not notice.
  """
  poles = -2 * np.pi * np.array([20.6, 20.6, 107.7, 737.9, 12194.0, 12194.0])
  return signal.zpk2sos(
    *signal.bilinear_zpk(np.zeros(4), poles, 7.39705e9, sample_rate)
  )


def active_seconds(
  audio: Float[np.ndarray, "samples channels"],
  sample_rate: int,
  threshold_db: float = -60.0,
) -> Bool[np.ndarray, " seconds"]:
  """Which seconds of the audio can be heard (see `PairConfig.threshold_db`).

  A-weighting keeps rumble and DC from counting as music; taking the loudest
  tenth lets one drum hit make its second active. An unfinished last second
  counts as a second.
  """
  seconds = math.ceil(len(audio) / sample_rate)
  frame = round(_FRAME_SECONDS * sample_rate)
  per_second = round(1 / _FRAME_SECONDS)
  power = np.square(
    signal.sosfilt(_a_weighting(sample_rate), audio, axis=0)
  ).mean(axis=1)
  edges = np.arange(math.ceil(len(power) / frame)) * frame
  rms = np.sqrt(np.add.reduceat(power, edges) / frame)
  rms = np.pad(rms, (0, seconds * per_second + 1 - len(rms)))
  loudest = rms[: seconds * per_second].reshape(seconds, per_second).max(1)
  return loudest > 10 ** (threshold_db / 20)


def segment_starts(seconds: float, segment_seconds: float) -> list[float]:
  """Where the segments of a song of that length begin, in seconds.

  They are spread evenly over the song and all have the full length, so the
  last may overlap its neighbour; a rest of less than a quarter of a segment
  is left out. A song shorter than a segment gives one, to be padded.
  """
  count = max(1, math.ceil(seconds / segment_seconds - 0.25))
  last = max(0.0, seconds - segment_seconds)
  if count == 1:
    return [0.0]
  return [last * i / (count - 1) for i in range(count)]


def choose_pairs(
  config: PairConfig,
  song: str,
  segment: int,
  active: Bool[np.ndarray, "stems seconds"],
  playable: Bool[np.ndarray, " stems"] | None = None,
) -> list[Pair]:
  """Draws the pairs of one segment from the activity of the song's stems.

  Of those that are `playable` (default: all), one is the target; any of the
  others may be heard.

  The draw of a pair depends on (seed, song id, segment, index) and on the
  segment's earlier pairs, because no (target, context) is taken twice; hence
  not on the process or the order in which songs are worked on.
  """
  able = active.mean(axis=1) >= max(config.min_active, 1e-9)
  able = np.flatnonzero(able if playable is None else able & playable)
  heard = np.flatnonzero(active.any(axis=1))
  chosen: dict[tuple[int, tuple[int, ...]], Pair] = {}
  if not len(able):
    return []
  song_key = zlib.crc32(song.encode())
  for index in range(config.pairs):
    rng = np.random.default_rng([config.seed, song_key, segment, index])
    empty = rng.random() < config.empty_share
    for _ in range(_TRIES):
      target = int(rng.choice(able))
      others = heard[heard != target]
      context = () if empty else _subset(config.subset_sizes, others, rng)
      if not empty and not context:
        continue
      both = active[target]
      if context:
        both = both & active[list(context)].any(axis=0)
      if both.mean() < config.min_active or (target, context) in chosen:
        continue
      decibels = rng.uniform(-config.level_db, config.level_db, len(context))
      gains = tuple(float(10 ** (db / 20)) for db in decibels)
      chosen[target, context] = Pair(index, target, context, gains)
      break
  return list(chosen.values())


def _subset(
  sizes: str, others: np.ndarray, rng: np.random.Generator
) -> tuple[int, ...]:
  """A random non-empty subset of `others`; empty only if there are none."""
  if not len(others):
    return ()
  if sizes == "uniform":
    size = rng.integers(1, len(others) + 1)
    taken = rng.choice(others, size, replace=False)
  else:
    taken = others[:0]
    while not len(taken):
      taken = others[rng.random(len(others)) < 0.5]
  return tuple(int(stem) for stem in np.sort(taken))


def mix_context(
  stems: Float[np.ndarray, "stems samples channels"], pair: Pair
) -> tuple[Float[np.ndarray, "samples channels"], Float[np.ndarray, " stems"]]:
  """Sums the context of a pair, below full scale.

  Returns:
    The mix, and the linear gain with which each of the song's stems is in it:
    0 where left out. A mix that would clip is lowered as a whole.
  """
  gains = np.zeros(len(stems), np.float32)
  gains[list(pair.context)] = pair.gains
  mix = np.zeros(stems.shape[1:], np.float32)
  for stem in pair.context:
    mix += gains[stem] * stems[stem]
  headroom = _PEAK / max(_PEAK, float(np.abs(mix).max(initial=0.0)))
  return mix * np.float32(headroom), gains * np.float32(headroom)
