"""What preparing would do, without reading audio: prepare's --dry_run."""

import pathlib
from collections.abc import Iterator

from stemgen_jax.codec import Codec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import listing, pairs, prepare, problems

_LISTED = 20  # songs that are shown


def show(
  source: songs.Songs,
  codec: Codec,
  out: pathlib.Path,
  config: pairs.PairConfig,
  where: str,
  *,
  strict: bool = False,
) -> listing.Listing:
  """Prints how songs are understood and what would be done with them.

  Args:
    source: of the songs.
    codec: that would encode them.
    out: folder of the data set.
    config: how pairs would be drawn.
    where: the machines that would encode.
    strict: as of `stem_codes.prepare`.

  Raises:
    ValueError, OSError: as `stem_codes.prepare`, as far as it can be known.
  """
  # First: this tells why, if no song can be used.
  print("\n".join(_songs(source)))
  try:
    listed = listing.look(source, config, strict=strict)
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
    f"{source.name}: {counts} songs, {done} of them are encoded",
    f"stems to play: {_stems(listed.stems, target=True)}",
    f"only heard: {_stems(listed.stems, target=False)}",
    problems.table(listed.problems),
    f"segments of {seconds:g} s, in which both sides of a pair must sound for "
    f"{config.min_active * seconds:g} s",
    f"codec {codec.name} ({codec.checksum[:12]}), {where}",
    "dry run: nothing was done, no audio was read",
  ):
    print(line)
  return listed


def _songs(source: songs.Songs) -> Iterator[str]:
  """The first songs and their stems, a line each."""
  total = 0
  for total, song in enumerate(source.songs(), 1):
    if total <= _LISTED:
      stems = ", ".join(f"{stem.name} {stem.category}" for stem in song.stems)
      yield f"{song.id} ({song.split}): {stems or 'no stems'}"
  if total > _LISTED:
    yield f"and {total - _LISTED} more"


def _stems(stems: dict[tuple[str, bool], int], *, target: bool) -> str:
  counts = {
    name: n for (name, is_target), n in stems.items() if is_target == target
  }
  ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
  return ", ".join(f"{name} {count}" for name, count in ordered) or "none"
