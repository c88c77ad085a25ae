"""Which songs of a source can be used, and what is wrong with the others."""

import collections
import dataclasses
from collections.abc import Iterator

from stemgen_jax import categories
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import pairs


@dataclasses.dataclass(frozen=True)
class Listing:
  """A look at a source, without its audio.

  Attributes:
    splits: split -> ids of the songs that can be used.
    stems: (category, target) -> number of their stems.
    problems: (song id, problem) of all songs, in the source's order.
  """

  splits: dict[str, list[str]]
  stems: dict[tuple[str, bool], int]
  problems: tuple[tuple[str, songs.Problem], ...]


class UnusableError(ValueError):
  """No song can be used, or not all of what was asked for.

  Attributes:
    problems: as of a `Listing`.
  """

  def __init__(
    self, message: str, problems: tuple[tuple[str, songs.Problem], ...]
  ):
    super().__init__(message)
    self.problems = problems


def look(
  source: songs.Songs, config: pairs.PairConfig, *, strict: bool = False
) -> Listing:
  """Lists the songs of a source.

  Args:
    source: the source.
    config: how pairs are drawn, which decides how many stems a song needs.
    strict: refuse a source of which a song or a stem has to be left out.

  Raises:
    UnusableError: no song can be used, or `strict`.
    ValueError: there is no song, or one is described wrongly.
  """
  splits: dict[str, list[str]] = {split: [] for split in songs.SPLITS}
  stems: collections.Counter[tuple[str, bool]] = collections.Counter()
  problems: list[tuple[str, songs.Problem]] = []
  seen: set[str] = set()
  for song in source.songs():
    _check(source, song)
    found = list(_problems(song, seen, config))
    problems += [(song.id, problem) for problem in found]
    seen.add(song.id)
    if any(p.left_out and not p.stem for p in found):
      continue
    splits[song.split].append(song.id)
    stems.update((stem.category, stem.target) for stem in song.stems)
  bad = [(song, problem) for song, problem in problems if problem.left_out]
  if bad and (strict or not any(splits.values())):
    song, problem = bad[0]
    where = f"song {song}" + (f", {problem.stem}" if problem.stem else "")
    more = f"; {len(bad) - 1} more, --dry_run lists them" if bad[1:] else ""
    why = "--strict" if strict else f"{source.name}: no song can be used"
    raise UnusableError(
      f"{why}: {where}: {problem.message}{more}", tuple(problems)
    )
  if not seen:
    raise ValueError(f"{source.name!r} has no songs: nothing to prepare")
  return Listing(splits, dict(stems), tuple(problems))


def _check(source: songs.Songs, song: songs.Song) -> None:
  """What no bad file can cause: raises ValueError."""
  where = f"song {song.id!r} of {source.name!r}"
  if song.split not in songs.SPLITS:
    raise ValueError(
      f"{where}: split is {song.split!r}, expected one of {songs.SPLITS}"
    )
  if song.genre not in categories.GENRES:
    raise ValueError(f"{where}: unknown genre {song.genre!r}")
  for stem in song.stems:
    categories.category_id(stem.category)
    if stem.role and stem.role not in categories.ROLES:
      raise ValueError(f"{where}: unknown role {stem.role!r}")


def _problems(
  song: songs.Song, seen: set[str], config: pairs.PairConfig
) -> Iterator[songs.Problem]:
  yield from song.problems
  if any(p.left_out and not p.stem for p in song.problems):
    return
  if song.id in seen:
    yield songs.Problem(
      "same id", "two songs have this id: the first is taken, rename this one"
    )
  elif len(song.stems) < 2 and config.empty_share < 1:
    yield songs.Problem(
      "too few stems",
      f"it has {len(song.stems)} that can be used: a pair needs one to hear "
      "and one to play",
    )
  elif not any(stem.target for stem in song.stems):
    yield songs.Problem(
      "nothing to play", "none of its stems may be what is to be played"
    )
