"""List the usable songs of a source, and the problems of the others."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from stemgen_jax import categories
from stemgen_jax.data.preparation import pairs, repeats, suspicious
from stemgen_jax.data.preparation.problems import first_left_out
from stemgen_jax.data.songs import SPLITS, Problem, Song, Songs


@dataclasses.dataclass(frozen=True)
class Listing:
  """The songs of a source, listed without reading audio.

  Attributes:
    songs: usable songs, in the source's order.
    splits: split -> ids of the usable songs.
    stems: (category, target) -> number of their stems.
    problems: (song id, problem) of all songs, in the source's order.
  """

  songs: tuple[Song, ...]
  splits: dict[str, list[str]]
  stems: dict[tuple[str, bool], int]
  problems: tuple[tuple[str, Problem], ...]


class UnusableError(ValueError):
  """No song can be used, or `strict` was given and not all of them can.

  Attributes:
    problems: `Listing.problems`.
  """

  def __init__(self, message: str, problems: tuple[tuple[str, Problem], ...]):
    super().__init__(message)
    self.problems = problems


def check(
  source: Songs,
  found: Iterable[Song],
  config: pairs.PairConfig,
  *,
  strict: bool = False,
  keep_suspicious: bool = False,
) -> Listing:
  """Separate the usable songs of a source from the others.

  Args:
    source: source of the songs.
    found: all songs of the source, from `source.songs()`.
    config: how pairs are drawn, which decides how many stems a song needs.
    strict: refuse a source if a song or a stem has to be left out.
    keep_suspicious: use stems that another split has, too, as targets.

  Raises:
    UnusableError: no song can be used, or `strict` refused the source.
    ValueError: the source has no songs, or a song has an invalid field.
  """
  usable: list[Song] = []
  splits: dict[str, list[str]] = {split: [] for split in SPLITS}
  stems: collections.Counter[tuple[str, bool]] = collections.Counter()
  problems: list[tuple[str, Problem]] = []
  seen: set[str] = set()
  # One pass in the source's order, as `found` may be a generator.
  for song in found:
    _check_fields(source, song)
    own = list(_problems(song, seen, config))
    problems += [(song.id, problem) for problem in own]
    seen.add(song.id)
    if any(p.left_out and not p.stem for p in own):
      continue
    usable.append(song)
  repeated = repeats.across_splits(usable)
  if keep_suspicious:
    repeated = [(song_id, suspicious.kept(x)) for song_id, x in repeated]
  else:
    usable, others = _without(usable, repeated)
    repeated += others
  problems += repeated
  for song in usable:
    splits[song.split].append(song.id)
    stems.update((stem.category, stem.target) for stem in song.stems)
  bad = first_left_out(problems)
  if bad and (strict or not any(splits.values())):
    why = "--strict" if strict else f"{source.name}: no song can be used"
    raise UnusableError(
      f"{why}: {bad}; --dry_run lists all problems", tuple(problems)
    )
  if not seen:
    raise ValueError(f"{source.name!r} has no songs: nothing to prepare")
  return Listing(tuple(usable), splits, dict(stems), tuple(problems))


def _without(
  usable: Sequence[Song], repeated: Sequence[tuple[str, Problem]]
) -> tuple[list[Song], list[tuple[str, Problem]]]:
  """Return songs without targets that are repeated, and new problems."""
  named = {(song_id, problem.stem) for song_id, problem in repeated}
  found, problems = [], []
  for song in usable:
    targets = [x for x in song.targets if (song.id, x) not in named]
    if targets:
      found.append(song.with_targets(targets))
    else:
      problems.append((song.id, _no_target()))
  return found, problems


def _no_target() -> Problem:
  return Problem("no target", "none of its stems may be a target")


def _check_fields(source: Songs, song: Song) -> None:
  """Raise ValueError for a mistake of the source, not of its files."""
  where = f"song {song.id!r} of {source.name!r}"
  if song.split not in SPLITS:
    raise ValueError(
      f"{where}: split is {song.split!r}, expected one of {SPLITS}"
    )
  if song.genre not in categories.GENRES:
    raise ValueError(f"{where}: unknown genre {song.genre!r}")
  for stem in song.stems:
    categories.category_id(stem.category)
    if stem.role and stem.role not in categories.ROLES:
      raise ValueError(f"{where}: unknown role {stem.role!r}")


def _problems(
  song: Song, seen: set[str], config: pairs.PairConfig
) -> Iterator[Problem]:
  yield from song.problems
  if any(p.left_out and not p.stem for p in song.problems):
    return
  # A second song of the same id could be in another split.
  if song.id in seen:
    yield Problem(
      "same id", "two songs have this id: the first is used, rename this one"
    )
  elif len(song.stems) < 2 and config.empty_share < 1:
    yield Problem(
      "too few stems",
      f"it has {len(song.stems)} that can be used: a pair needs one for the "
      "context and one for the target",
    )
  elif not any(stem.target for stem in song.stems):
    yield _no_target()
