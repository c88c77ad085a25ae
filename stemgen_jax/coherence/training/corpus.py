"""The songs that the coherence model trains on, as spectra of their stems.

Every song comes in two versions that differ in their chords alone, so that the
stems of one are exact counterexamples for the other.
"""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float

from stemgen_jax import disk, finite, small_runs
from stemgen_jax.audio import Audio, loudness_db, spectrum
from stemgen_jax.coherence import features


class Source(Protocol):
  """The band; data is a room above this one."""

  def numbers(self, split: str) -> Sequence[int]:
    """Return the numbers of the songs of a split."""
    ...

  def score(self, number: int) -> Any:
    """Return the score of a song."""
    ...

  def reharmonized(self, number: int) -> Any:
    """Return its score with other chords; LookupError if there are none."""
    ...

  def read(self, part: Any) -> Audio:
    """Render a part of a score."""
    ...


def render(
  source: Source, folder: pathlib.Path, splits: Sequence[str]
) -> Iterator[int]:
  """Write the spectra of songs; yield the number of each.

  The folder gets a NUMBER.npy [stems, t, bands] per song and an index of the
  complete ones, which are not rendered again when a stopped run resumes.

  Args:
    source: the band.
    folder: cache of spectra.
    splits: splits to render.

  Raises:
    ValueError: the folder has other songs.
  """
  recipe = f"{source!r}, features {features.VERSION}"
  index = small_runs.rendered_songs(folder, recipe)
  for split in splits:
    for number in source.numbers(split):
      if str(number) not in index:
        spectra, about = _render(source, number)
        with disk.replacing(folder / f"{number}.npy") as file:
          np.save(file, spectra)
        index[str(number)] = about
        small_runs.write_index(folder, recipe, index)
      yield number


def _render(source: Source, number: int) -> tuple[np.ndarray, dict[str, Any]]:
  scores = [source.score(number)]
  with contextlib.suppress(LookupError):
    scores.append(source.reharmonized(number))
  spectra, stems = [], []
  parts: list[Any] = []  # rendered so far
  for version, score in enumerate(scores):
    for part in score.parts:
      if part in parts:  # as drums: the same in both versions
        stems[parts.index(part)]["versions"].append(version)
        continue
      sound = source.read(part)
      loudness = loudness_db(sound.samples, sound.sample_rate)
      parts.append(part)
      spectra.append(spectrum.stored(features.powers(sound)))
      stems.append(
        {
          "name": part.name,
          "category": part.category,
          "versions": [version],
          "loudness_db": finite.or_none(loudness, 2),
        }
      )
  (score, *_), (first, second, *_) = scores, scores[0].beats
  return np.stack(spectra), {
    "genre": score.genre,
    "sixteenth": score.sixteenth,
    "beat": second - first,
    "stems": stems,
    "chords": [
      [(x.start, x.end, list(x.pitch_classes)) for x in score.chords]
      for score in scores
    ],
  }


@dataclasses.dataclass(frozen=True)
class Stem:
  """A stem of a version of a song.

  Attributes:
    row: index in `Song.spectra`.
    name: name of the part.
    category: instrument category.
    active: frames in which it plays.
  """

  row: int
  name: str
  category: str
  active: Bool[np.ndarray, " t"]


@dataclasses.dataclass(frozen=True)
class Song:
  """A song with its versions.

  Attributes:
    number: number in the source.
    spectra: stored powers, memory-mapped, float16 [stems, t, bands].
    versions: stems of each of one or two versions.
    chords: pitch classes of the chord of every frame, by version.
    sixteenth: length in frames.
    beat: length in frames.
  """

  number: int
  spectra: np.ndarray
  versions: tuple[tuple[Stem, ...], ...]
  chords: Bool[np.ndarray, "versions t 12"]
  sixteenth: float
  beat: float

  def power(self, row: int, part: slice) -> Float[np.ndarray, "t bands"]:
    """Return the powers of a stem in a part of the song."""
    return spectrum.restored(self.spectra[row, part])


def load(folder: pathlib.Path, numbers: Sequence[int]) -> list[Song]:
  """Return songs that were rendered.

  Raises:
    ValueError: a file is corrupt.
  """
  index = small_runs.all_songs(folder)
  fix = small_runs.FIX_CACHE
  return [
    _song(n, disk.read_npy(folder / f"{n}.npy", fix), index[str(n)])
    for n in numbers
  ]


def _song(number: int, spectra: np.ndarray, about: dict[str, Any]) -> Song:
  frames = spectra.shape[1]
  active = features.active(spectrum.restored(spectra))  # [stems, t]
  versions = tuple(
    tuple(
      Stem(row, stem["name"], stem["category"], active[row])
      for row, stem in enumerate(about["stems"])
      if version in stem["versions"]
    )
    for version in range(len(about["chords"]))
  )
  chords = np.zeros((len(versions), frames, 12), bool)
  for of, spans in zip(chords, about["chords"]):
    for start, end, pitch_classes in spans:
      first, last = (round(x * features.FRAME_RATE) for x in (start, end))
      for pitch_class, frame in itertools.product(
        pitch_classes, range(first, min(last, frames))
      ):
        of[frame, pitch_class] = True
  rate = features.FRAME_RATE
  return Song(
    number,
    spectra,
    versions,
    chords,
    about["sixteenth"] * rate,
    about["beat"] * rate,
  )
