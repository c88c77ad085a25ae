"""Draw pairs of a context and a target stem from the segments of a song.

A song is cut into segments, and a few pairs are drawn from each: one stem is
the target, a random subset of the others is the context (StemGen, section 2).
The paper does not specify the distribution over subset sizes, the treatment of
silence and the share of empty contexts; they are settings here.

Imports neither scipy nor a codec: the flags of `prepare` need `PairConfig`.
"""

import dataclasses
import math
import zlib

import numpy as np
from jaxtyping import Bool, Float
from numpy.random import Generator

from stemgen_jax import audio

SUBSET_SIZES = ("uniform", "subsets")
# Usual pairs per segment, by the kind of contexts.
PAIRS = {"codes": 24, "spectrum": 4}
CONTEXTS = tuple(PAIRS)

_PEAK = 0.99  # greatest sample value of a context
_TRIES = 64  # draws for one pair before giving up


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairConfig:
  """How pairs are drawn.

  Attributes:
    segment_seconds: length of a segment in seconds, 1 to 60 (the paper's).
    pairs: pairs per segment; fewer where a segment has fewer different ones.
    empty_share: share of pairs whose context is silence, 0..1, which teach the
      model to start a song. The paper counts none, its demo has some.
    subset_sizes: "uniform" draws the size of the context first, so one stem
      and all others are equally likely; "subsets" makes every non-empty
      subset equally likely, so most have half of the stems.
    threshold_db: A-weighted RMS of a second's loudest tenth, in dB of full
      scale, above which the second is active.
    min_active: share of a segment's seconds in which target and context must
      both be active, 0..1 (for an empty context: the target alone).
    level_db: largest random change of a context stem's level in dB, 0 to 40;
      0 keeps the balance of the song.
    usual_levels: whether to bring the stems of a song to the usual balance of a
      mix first, see `levels`; False keeps their own.
    loudness_db: loudness in dB of full scale that targets and contexts are
      brought to before they are encoded, -60 to 0; generation does the same.
      None keeps that of the song, as earlier versions did.
    contexts: "codes", or "spectrum" to store the stems of every segment, too,
      from whose spectra training mixes a new context for every example.
    seed: seed of all draws.

  Raises:
    ValueError: a value is out of its range.
  """

  segment_seconds: float = 60.0
  pairs: int = PAIRS["codes"]
  empty_share: float = 0.04
  subset_sizes: str = "uniform"
  threshold_db: float = -60.0
  min_active: float = 0.2
  level_db: float = 0.0
  usual_levels: bool = False
  loudness_db: float | None = audio.REFERENCE_DB
  contexts: str = "codes"
  seed: int = 0

  def __post_init__(self):
    for name, valid, expected in (
      ("segment_seconds", 1 <= self.segment_seconds <= 60, "1 to 60"),
      ("pairs", self.pairs >= 1, "at least 1"),
      ("empty_share", 0 <= self.empty_share <= 1, "0 to 1"),
      ("subset_sizes", self.subset_sizes in SUBSET_SIZES, str(SUBSET_SIZES)),
      ("contexts", self.contexts in CONTEXTS, str(CONTEXTS)),
      ("threshold_db", math.isfinite(self.threshold_db), "finite"),
      ("min_active", 0 <= self.min_active <= 1, "0 to 1"),
      ("level_db", 0 <= self.level_db <= 40, "0 to 40"),
      (
        "loudness_db",
        self.loudness_db is None or -60 <= self.loudness_db <= 0,
        "-60 to 0, or None",
      ),
      ("seed", self.seed >= 0, "at least 0"),
    ):
      if not valid:
        value = getattr(self, name)
        raise ValueError(f"{name} is {value!r}, expected {expected}")


@dataclasses.dataclass(frozen=True)
class Pair:
  """One pair of a segment; stems are given by their index in the song.

  Attributes:
    index: index of the pair in its segment.
    target: index of the target stem.
    context: indices of the context's stems, ascending; () is silence.
    gains: linear gain of each stem of the context.
  """

  index: int
  target: int
  context: tuple[int, ...]
  gains: tuple[float, ...]


def segment_starts(seconds: float, segment_seconds: float) -> list[float]:
  """Return the beginnings of a song's segments in seconds.

  Segments have the full length and are spread evenly over the song, so
  neighbours may overlap; a remainder of less than a quarter of a segment is
  left out. A song shorter than a segment gives one, to be padded.

  Args:
    seconds: length of the song.
    segment_seconds: length of a segment.
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
  targetable: Bool[np.ndarray, " stems"] | None = None,
  weights: Float[np.ndarray, " stems"] | None = None,
) -> list[Pair]:
  """Draw the pairs of one segment from the activity of the song's stems.

  The draw of a pair depends on (seed, song id, segment, index) and on the
  segment's earlier pairs, because no (target, context) is taken twice. It does
  not depend on the process or the order in which songs are encoded.

  Args:
    config: how pairs are drawn.
    song: id of the song.
    segment: index of the segment.
    active: seconds in which each stem sounds.
    targetable: stems that may be a target; default: all. Any stem may be in a
      context.
    weights: relative probabilities of the targets; default: equal.
  """
  able = np.flatnonzero(can_be_target(config, active, targetable))
  audible = np.flatnonzero(active.any(axis=1))
  chosen: dict[tuple[int, tuple[int, ...]], Pair] = {}
  if not len(able):
    return []
  p = None if weights is None else weights[able] / weights[able].sum()
  song_key = zlib.crc32(song.encode())
  for index in range(config.pairs):
    rng = np.random.default_rng([config.seed, song_key, segment, index])
    empty = rng.random() < config.empty_share
    for _ in range(_TRIES):
      target = int(rng.choice(able, p=p))
      others = audible[audible != target]
      context = () if empty else draw_subset(config.subset_sizes, others, rng)
      if not empty and not context:
        continue
      both = active[target]  # [seconds]
      if context:
        both = both & active[list(context)].any(axis=0)
      if both.mean() < config.min_active or (target, context) in chosen:
        continue
      decibels = rng.uniform(-config.level_db, config.level_db, len(context))
      gains = tuple(float(10 ** (db / 20)) for db in decibels)
      chosen[target, context] = Pair(index, target, context, gains)
      break
  return list(chosen.values())


def can_be_target(
  config: PairConfig,
  active: Bool[np.ndarray, "stems seconds"],
  targetable: Bool[np.ndarray, " stems"] | None = None,
) -> Bool[np.ndarray, " stems"]:
  """Return the stems that sound for `min_active` on their own, and at all."""
  able = active.mean(axis=1) >= max(config.min_active, 1e-9)
  return able if targetable is None else able & targetable


def draw_subset(
  sizes: str, others: np.ndarray, rng: Generator
) -> tuple[int, ...]:
  """Draw a non-empty subset of `others`; () if there are none."""
  if not len(others):
    return ()
  if sizes == "uniform":
    size = rng.integers(1, len(others) + 1)
    taken = rng.choice(others, size, replace=False)
  else:
    taken = others[:0]
    while not len(taken):  # every non-empty subset is equally likely
      taken = others[rng.random(len(others)) < 0.5]
  return tuple(int(stem) for stem in np.sort(taken))


def mix_context(
  stems: Float[np.ndarray, "stems samples channels"],
  pair: Pair,
  *,
  limit: bool = True,
) -> tuple[Float[np.ndarray, "samples channels"], Float[np.ndarray, " stems"]]:
  """Sum the context of a pair.

  Args:
    stems: stems of the song.
    pair: the pair.
    limit: lower a mix that would clip as a whole.

  Returns:
    The mix, and the linear gain of each of the song's stems in it: 0 where
    left out.
  """
  gains = np.zeros(len(stems), np.float32)
  gains[list(pair.context)] = pair.gains
  mix = np.zeros(stems.shape[1:], np.float32)
  for stem in pair.context:  # in this order: float32 sums depend on it
    mix += gains[stem] * stems[stem]
  if not limit:
    return mix, gains
  headroom = _PEAK / max(_PEAK, float(np.abs(mix).max(initial=0.0)))
  return mix * np.float32(headroom), gains * np.float32(headroom)
