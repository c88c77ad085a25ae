"""The examples of an evaluation, by the paper's protocol.

A segment of every test song, a random stem as the target, and a random subset
of the others as the context (section 4). The list is a function of songs,
length and seed; a short list is the beginning of a long one.
"""

import collections
import dataclasses
import functools
import itertools
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from stemgen_jax import audio, categories
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import activity, pairs, song_audio
from stemgen_jax.data.sources import restore
from stemgen_jax.data.sources.band.source import FIRST, Band
from stemgen_jax.evaluation import reference_annotations

_TRIES = 4  # segments of a song that are searched for a pair
_MOST_SONGS = 200  # songs that are searched for categories


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Example:
  """A context and the real stem to it.

  Attributes:
    number: place in the list.
    song: id of the song.
    start: start of the segment in the song, in seconds.
    category: category of the target.
    target: name of the target's stem.
    genre: genre of the song.
    role: role of the target, or "".
    stems: names of the stems in the context.
    context: mix of these stems.
    real: the target.
    random_stem: a stem of the category from another song; None if no other
      song has one.
    pitched: whether target and context both have pitched instruments.
    annotations: reference annotations of the context.
    decoded: context and stems are known through the codec only.
  """

  number: int
  song: str
  start: float
  category: str
  target: str = ""
  genre: str
  role: str
  stems: tuple[str, ...]
  context: Audio
  real: Audio
  random_stem: Audio | None
  pitched: bool
  annotations: reference_annotations.ReferenceAnnotations
  decoded: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class _Segment:
  """A part of a song, with the pair drawn from it, if there is one."""

  song: songs.Song
  start: float
  stems: Float[np.ndarray, "stems samples channels"]
  pair: pairs.Pair | None


class ExampleList:
  """Examples of a source's held-out songs, drawn one after another.

  Args:
    source: source of the songs.
    codec: codec whose sample rate and channels the examples have.
    seconds: length of an example, 2 to 60; at most that of the song.
    seed: seed of segments, targets and contexts.
    name: what errors call the source; by default its own name.
    split: "test" or "valid".
    balanced: whether targets are drawn by the inverse frequencies of their
      categories.

  Raises:
    ValueError: the split has fewer than two songs, or `seconds` is out
      of range.
  """

  def __init__(
    self,
    source: songs.Songs,
    codec: Codec,
    seconds: float,
    seed: int,
    name: str = "",
    split: str = "test",
    balanced: bool = False,
  ):
    if not 2 <= seconds <= 60:
      raise ValueError(f"seconds={seconds:g}: expected 2 to 60")
    self._source, self._codec = source, codec
    self._name, self._split = name or source.name, split
    self._songs = restore.songs_of(source, self._name, split)
    self._seconds = seconds
    self._config = pairs.PairConfig(
      segment_seconds=seconds, pairs=1, empty_share=0.0, seed=seed
    )
    self._counts = self._count_categories() if balanced else None
    # An example uses three segments: its own, the next one's for the other
    # context, and another song's for the random stem.
    self._segment = functools.lru_cache(maxsize=8)(self._cut)

  def __iter__(self) -> Iterator[int]:
    """Yield the places of the list that have an example, without end.

    Raises:
      ValueError: no song has one.
    """
    found, place = False, 0
    while True:
      # A segment has no pair if fewer than two stems sound in it.
      usable = self._segment(place).pair is not None
      found |= usable
      if not found and place > 2 * len(self._songs):
        raise ValueError(
          f"{self._name}: no {self._split} song has two stems that sound "
          f"together for --seconds={self._seconds:g}; give fewer, or --data "
          f"with other {self._split} songs"
        )
      if usable:
        yield place
      place += 1

  def example(self, place: int) -> Example:
    """Return the example at a place that has one."""
    segment = self._segment(place)
    song, pair = segment.song, segment.pair
    assert pair is not None
    category = song.stems[pair.target].category
    context = self._context(segment)
    in_context = [song.stems[stem] for stem in pair.context]
    return Example(
      number=place,
      song=song.id,
      start=segment.start,
      category=category,
      target=song.stems[pair.target].name,
      genre=song.genre,
      role=song.stems[pair.target].role,
      stems=tuple(stem.name for stem in in_context),
      context=context,
      real=self._audio(segment.stems[pair.target]),
      random_stem=self._random_stem(place, category),
      pitched=category not in categories.UNPITCHED
      and any(stem.category not in categories.UNPITCHED for stem in in_context),
      annotations=self._annotate(segment, context),
    )

  def other_context(self, place: int) -> Audio:
    """Return the next other song's context, at the length of its own.

    Raises:
      ValueError: no other song has an example.
    """
    own = self._segment(place)
    for following in range(place + 1, place + 2 + 2 * len(self._songs)):
      segment = self._segment(following)
      if segment.pair is not None and segment.song.id != own.song.id:
        context = self._context(segment)
        # Songs may be shorter than `seconds`.
        samples = audio.fit(context.samples, own.stems.shape[1])
        return Audio(samples, context.sample_rate)
    raise ValueError(
      f"{self._name}: only {self._split} song {own.song.id} has two stems that "
      "sound together, but another song's context is needed; expected two "
      f"such songs: give --data with more {self._split} songs"
    )

  def _cut(self, place: int) -> _Segment:
    """Cut the segment at a place: songs in turn, over and over."""
    song = self._songs[place % len(self._songs)]
    turn = place // len(self._songs)
    stems, _ = song_audio.read_stems(song, self._codec, self._config)
    rate = self._codec.sample_rate
    length = min(stems.shape[1], round(self._seconds * rate))
    # Seeded by song and turn: other songs of the list do not change it.
    rng = np.random.default_rng(
      [self._config.seed, zlib.crc32(song.id.encode()), turn]
    )
    is_target = np.array([stem.target for stem in song.stems])
    weights = None
    if self._counts is not None:
      # The counted songs may lack categories of others.
      counts = [self._counts[stem.category] or 1 for stem in song.stems]
      weights = 1 / np.array(counts)
    start, part, pair = 0.0, stems[:, :length], None
    for attempt in range(_TRIES):
      first = int(rng.integers(stems.shape[1] - length + 1))
      part = stems[:, first : first + length]
      # [stems, seconds]: where each stem sounds.
      active = np.stack([activity.active_seconds(stem, rate) for stem in part])
      found = pairs.choose_pairs(
        self._config,
        song.id,
        _TRIES * turn + attempt,
        active,
        is_target,
        weights,
      )
      start = first / rate
      if found:
        (pair,) = found
        break
    # A view would keep the whole song in memory.
    return _Segment(song, start, part.copy(), pair)

  def _count_categories(self) -> collections.Counter[str]:
    """Return the number of songs with each category, of the first songs."""
    return collections.Counter(
      category
      for song in itertools.islice(self._songs, _MOST_SONGS)
      for category in {stem.category for stem in song.stems if stem.target}
    )

  def _context(self, segment: _Segment) -> Audio:
    assert segment.pair is not None
    return self._audio(pairs.mix_context(segment.stems, segment.pair)[0])

  def _audio(self, samples: Float[np.ndarray, "n c"]) -> Audio:
    return Audio(np.ascontiguousarray(samples), self._codec.sample_rate)

  def _random_stem(self, place: int, category: str) -> Audio | None:
    """Return the first stem of the category in the following songs."""
    own = self._segment(place)
    count = len(self._songs)
    for further in range(1, min(count, _MOST_SONGS)):
      song = self._songs[(place + further) % count]
      numbers = [
        number
        for number, stem in enumerate(song.stems)
        if stem.category == category and stem.target
      ]
      if not numbers:
        continue
      segment = self._segment(place + further)
      stem = segment.stems[numbers[0]]
      # A silent segment would be no anchor.
      if activity.active_seconds(stem, self._codec.sample_rate).any():
        return self._audio(audio.fit(stem, own.stems.shape[1]))
    return None

  def _annotate(
    self, segment: _Segment, context: Audio
  ) -> reference_annotations.ReferenceAnnotations:
    if isinstance(self._source, Band):
      number = int(segment.song.id.rpartition("-")[2])
      assert number >= FIRST[self._split]
      return reference_annotations.of_score(
        self._source.score(number), segment.start, context.seconds
      )
    estimated = reference_annotations.estimate(
      audio.mono(context), context.sample_rate, bars=segment.song.score is None
    )
    if segment.song.score is None:
      return estimated
    return reference_annotations.of_midi(
      segment.song.score(), segment.start, context.seconds, estimated
    )
