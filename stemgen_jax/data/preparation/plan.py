"""Show what `prepare --dry_run` would do."""

import pathlib
from collections.abc import Iterator, Sequence

from stemgen_jax.codec import Codec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import listing, pairs, prepare, problems

_LISTED = 20  # songs that are shown


def show(
  source: songs.Songs,
  found: Sequence[songs.Song],
  codec: Codec,
  out: pathlib.Path,
  config: pairs.PairConfig,
  machines: str,
  *,
  strict: bool = False,
  keep_suspicious: bool = False,
) -> listing.Listing:
  """Print how songs are understood and how they would be prepared.

  Args:
    source: source of the songs.
    found: all songs of the source, from `source.songs()`.
    codec: codec that would encode them.
    out: folder of the data set.
    config: how pairs would be drawn.
    machines: description of the machines that would encode.
    strict, keep_suspicious: see `prepare.prepare`.

  Raises:
    ValueError, OSError: as `prepare.prepare`, as far as they can be foreseen.
  """
  # First: the list explains why no song can be used, if that is so.
  print("\n".join(_lines(found)))
  try:
    listed = listing.check(
      source, found, config, strict=strict, keep_suspicious=keep_suspicious
    )
  except listing.UnusableError as error:
    print(problems.table(error.problems))
    raise
  prepare.check(source, codec, out, config)
  counts = ", ".join(
    f"{len(ids)} {split}" for split, ids in listed.splits.items() if ids
  )
  done = len(list((out / "songs").glob("*.npz")))
  seconds = config.segment_seconds
  for line in (
    f"{source.name}: {counts} songs, {done} encoded already",
    f"stems for contexts and targets: {_stems(listed.stems, target=True)}",
    f"stems for contexts only: {_stems(listed.stems, target=False)}",
    problems.table(listed.problems),
    f"segments of {seconds:g} s, in which both sides of a pair must sound for "
    f"{config.min_active * seconds:g} s",
    f"{config.pairs} pairs per segment, contexts as {config.contexts}",
    f"codec {codec.name} ({codec.checksum[:12]}), {machines}",
    "dry run: nothing was done; of files, audio was read only to compare stems "
    "of one length in two splits: noise, offsets, clipping, copies and silence "
    "are found when songs are encoded",
  ):
    print(line)
  return listed


def _lines(found: Sequence[songs.Song]) -> Iterator[str]:
  """Yield a line for each of the first songs."""
  for song in found[:_LISTED]:
    stems = ", ".join(
      f"{stem.name} {stem.category}" + " (context only)" * (not stem.target)
      for stem in song.stems
    )
    yield f"{song.id} ({song.split}): {stems or 'no stems'}"
  if len(found) > _LISTED:
    yield f"and {len(found) - _LISTED} more"


def _stems(stems: dict[tuple[str, bool], int], *, target: bool) -> str:
  counts = {
    name: n for (name, is_target), n in stems.items() if is_target == target
  }
  ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
  return ", ".join(f"{name} {count}" for name, count in ordered) or "none"
