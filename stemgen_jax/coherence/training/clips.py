"""Batches of contexts and stems, with the counterexamples that are decidable.

Only counterexamples whose error is audible are made: transposed drums are not
wrong, and nobody can tell whether a pad is a sixteenth late.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy.typing import ArrayLike

from stemgen_jax import categories
from stemgen_jax.audio import spectrum
from stemgen_jax.coherence import features
from stemgen_jax.coherence.training.corpus import Song, Stem

SLOW = ("synth_pad", "ensemble", "strings", "synth_effects")
"""Instruments whose notes often begin softly."""

SHIFTS = ("-beat", "-1/8", "-1/16", "+1/16", "+1/8", "+beat")
STRETCHES = 2
"""Random stretches of each stem."""

_STRETCH = (0.01, 0.05)
_PLAYING = 0.4  # share of a clip in which context and stem must play
_OTHER_CHORDS = 0.4  # share of it with other chords
_TRIES = 12
_GAIN_DB = 6.0
_TILT_DB = 3.0  # per octave, at most
_NOISE_SHARE, _NOISE = 0.5, (-5.5, -3.0)  # log magnitudes of noise, in nepers
_EQ, _FLUTTER = 0.2, 0.1  # nepers, per band and per frame
_OCTAVES = np.log2(spectrum.band_frequencies(features.SAMPLE_RATE) / 500)


@dataclasses.dataclass(frozen=True)
class Batch:
  """Pairs of contexts and stems: rows 2i and 2i + 1 are versions of a song.

  Attributes:
    context: features of the contexts.
    stem: features of the stems; row i belongs to context i.
    other: pairs of context and stem that do not fit, decidably.
    pitched: rows whose chords can be compared.
    shift: shifts of each row in frames, see `SHIFTS`.
    shiftable: which of them are decidable.
    stretch: relative stretches of each row.
    stretchable: rows for which they are decidable.
  """

  context: Float32[np.ndarray, "b t bands"]
  stem: Float32[np.ndarray, "b t bands"]
  other: Bool[np.ndarray, "b b"]
  pitched: Bool[np.ndarray, " b"]
  shift: Float32[np.ndarray, "b shifts"]
  shiftable: Bool[np.ndarray, "b shifts"]
  stretch: Float32[np.ndarray, "b stretches"]
  stretchable: Bool[np.ndarray, " b"]


@dataclasses.dataclass(frozen=True)
class Clip:
  """A part of a song with a stem and its context, in one or two versions.

  Attributes:
    song: the song.
    part: frames.
    stems: the stem in each version.
    contexts: stems of the context in each version.
  """

  song: Song
  part: slice
  stems: tuple[Stem, ...]
  contexts: tuple[tuple[Stem, ...], ...]

  @property
  def pitched(self) -> bool:
    """Whether the harmony of stem and context can be compared."""
    return is_pitched(self.stems[0]) and any(map(is_pitched, self.contexts[0]))

  @property
  def reharmonized(self) -> bool:
    """Whether the versions differ in pitch, audibly in this part."""
    if not self.pitched or len(self.stems) < 2:
      return False
    # In most frames where the stem of the other version plays.
    differ = (self.song.chords[0] != self.song.chords[1]).any(axis=1)
    playing = (self.stems[0].active & self.stems[1].active)[self.part]
    return bool((differ[self.part] & playing).mean() > _OTHER_CHORDS)


def is_pitched(stem: Stem) -> bool:
  """Return whether a stem has pitch."""
  return stem.category not in categories.UNPITCHED


def shiftable(clip: Clip) -> list[bool]:
  """Return which of `SHIFTS` are decidable."""
  stem, context = clip.stems[0], clip.contexts[0]
  crisp = [x for x in context if x.category not in SLOW]
  if not crisp:
    return [False] * len(SHIFTS)
  fine = stem.category not in SLOW
  # A beat: from the chords, or from the accents of several instruments.
  beat = clip.pitched or len(context) > 1
  return [beat if "beat" in name else fine for name in SHIFTS]


def draw(
  song: Song, frames: int, rng: np.random.Generator, *, whole: bool = False
) -> Clip | None:
  """Draw a part, a stem and a context of a song that sound together.

  Args:
    song: the song.
    frames: length in frames.
    rng: source of all random numbers.
    whole: the context is all other stems.

  Returns:
    The clip, or None if none was found.
  """
  total = song.spectra.shape[1]
  names = [{stem.name: stem for stem in version} for version in song.versions]
  shared = sorted(set.intersection(*(set(x) for x in names)))
  for _ in range(_TRIES):
    if len(shared) < 2:
      return None
    first = int(rng.integers(total - frames + 1))
    part = slice(first, first + frames)
    target = str(rng.choice(shared))
    others = [x for x in shared if x != target]
    if not whole and rng.random() < 0.6:
      size = int(rng.integers(1, len(others) + 1))
      others = [str(x) for x in rng.choice(others, size, replace=False)]
    clip = Clip(
      song,
      part,
      tuple(of[target] for of in names),
      tuple(tuple(of[x] for x in others) for of in names),
    )
    if all(
      _together(stem, context, part)
      for stem, context in zip(clip.stems, clip.contexts)
    ):
      return clip
  return None


def _together(stem: Stem, context: Sequence[Stem], part: slice) -> bool:
  playing = np.logical_or.reduce([x.active[part] for x in context])
  # Drums and short notes play in few frames: count those around them, too.
  near = np.convolve(stem.active[part], np.ones(25), "same") > 0
  return bool((playing & near).mean() > _PLAYING)


def batch(
  songs: Sequence[Song], count: int, frames: int, rng: np.random.Generator
) -> Batch:
  """Draw a batch of `count` songs in two versions each.

  Raises:
    ValueError: too few songs have stems that sound together.
  """
  clips: list[Clip] = []
  # Passes over the songs: a song without a clip may have one at the next try.
  for place in (x for _ in range(_TRIES) for x in rng.permutation(len(songs))):
    if all(songs[place] is not one.song for one in clips):
      clip = draw(songs[place], frames, rng)
      clips += [clip] if clip else []
    if len(clips) == count:
      break
  else:
    raise ValueError(
      f"{len(clips)} of {len(songs)} songs have stems that sound together for "
      f"{frames / features.FRAME_RATE:.1f} s: expected {count}; train on more "
      "or longer songs"
    )
  rows = 2 * count
  shape = (rows, frames, features.BANDS)
  context, stem = np.empty(shape, np.float32), np.empty(shape, np.float32)
  other = ~np.kron(np.eye(count, dtype=bool), np.ones((2, 2), bool))
  pitched = np.zeros(rows, bool)
  valid = np.zeros((rows, len(SHIFTS)), bool)
  shift = np.zeros((rows, len(SHIFTS)), np.float32)
  stretchable = np.zeros(rows, bool)
  for i, clip in enumerate(clips):
    gains = rng.uniform(-_GAIN_DB, _GAIN_DB, len(clip.contexts[0]))
    for version in range(2):
      row, of = 2 * i + version, min(version, len(clip.stems) - 1)
      context[row] = augmented(
        mixed(clip.song, clip.contexts[of], clip.part, gains), rng
      )
      stem[row] = augmented(clip.song.power(clip.stems[of].row, clip.part), rng)
    pair = slice(2 * i, 2 * i + 2)
    if clip.reharmonized:
      other[2 * i, 2 * i + 1] = other[2 * i + 1, 2 * i] = True
    pitched[pair] = clip.pitched
    valid[pair] = shiftable(clip)
    song = clip.song
    shift[pair] = shift_frames(song)
    stretchable[pair] = clip.stems[0].category not in SLOW
  sign = rng.choice([-1.0, 1.0], (rows, STRETCHES))
  stretch = sign * rng.uniform(*_STRETCH, (rows, STRETCHES))
  return Batch(
    context,
    stem,
    other,
    pitched,
    shift,
    valid,
    stretch.astype(np.float32),
    stretchable,
  )


def shift_frames(song: Song) -> list[float]:
  """Return the lengths of `SHIFTS` in frames."""
  sixteenth, beat = song.sixteenth, song.beat
  late = (sixteenth, 2 * sixteenth, beat)
  return [*(-x for x in reversed(late)), *late]


def mixed(
  song: Song, stems: Sequence[Stem], part: slice, gains_db: ArrayLike
) -> Float[np.ndarray, "t bands"]:
  """Return the powers of a mix of stems."""
  gains = 10 ** (np.asarray(gains_db, np.float32) / 10)
  powers = np.stack([song.power(stem.row, part) for stem in stems])
  return np.einsum("s,stb->tb", gains, powers)


def augmented(
  power: Float[np.ndarray, "t bands"], rng: np.random.Generator
) -> Float32[np.ndarray, "t bands"]:
  """Return features with random equalizers, noise and flutter."""
  log = features.relative(power)
  tilt = rng.uniform(-1, 1) * _TILT_DB * np.log(10) / 20 * _OCTAVES
  log += tilt + rng.normal(0, _EQ, log.shape[1])
  log += _FLUTTER * rng.standard_normal(log.shape, np.float32)
  if rng.random() < _NOISE_SHARE:
    noise = rng.uniform(*_NOISE) - rng.random() * 0.35 * _OCTAVES
    log = np.logaddexp(2 * log, 2 * noise) / 2
  # Not below silence, nor far above the level of the sound.
  return log.clip(0.5 * np.log(features.FLOOR), 1.0).astype(np.float32)
