"""Songs and stems that --skip leaves out, and those with known problems.

`known_problems.csv` in the package lists songs of published data sets with the
public thread that names each. They are reported; --skip=known leaves out those
that cannot be used.
"""

import collections
import dataclasses
import difflib
import pathlib
from collections.abc import Sequence

from stemgen_jax import disk, paths
from stemgen_jax.data.songs import Problem, Song

KNOWN = "known"
_FIX = "write a CSV file with a column song, and stem for single stems"


def apply(
  source: str, found: Sequence[Song], text: str
) -> tuple[tuple[Song, ...], str]:
  """Leave out songs and stems, and note known problems of the others.

  Args:
    source: name of the source.
    found: all its songs.
    text: --skip, "known" or names of files, with commas.

  Returns:
    The other songs, and a line about what was left out, "" if nothing.

  Raises:
    ValueError: a file is corrupt, or names a song or stem that is not there.
  """
  files = [x.strip() for x in text.split(",") if x.strip()]
  name = source.partition("_")[0]  # slakh_redux, slakh_orig
  listed = [x for x in _rows(str(paths.KNOWN_PROBLEMS)) if x["source"] == name]
  skipped: set[tuple[str, str]] = set()
  for file in files:
    if file == KNOWN:
      skipped |= {_key(x) for x in listed if x["left_out"] == "yes"}
    else:
      rows = _rows(file)
      _check(file, rows, found)
      skipped |= set(map(_key, rows))
  known = collections.defaultdict(list)
  for row in listed:
    known[row["song"]].append(row)
  kept, songs, stems = [], 0, 0
  for song in found:
    if (song.id, "") in skipped:
      songs += 1
      continue
    own = tuple(x for x in song.stems if (song.id, x.name) not in skipped)
    stems += len(song.stems) - len(own)
    notes = tuple(
      Problem(
        "known problem",
        f"{row['problem']}: {row['thread']}",
        row["stem"],
        False,
      )
      for row in known[song.id]
      if _key(row) not in skipped
    )
    if notes or len(own) < len(song.stems):
      problems = song.problems + notes
      mixture = song.mixture if len(own) == len(song.stems) else None
      song = dataclasses.replace(
        song, stems=own, problems=problems, mixture=mixture
      )
    kept.append(song)
  line = f"left out by --skip={text}: songs {songs}, stems of others {stems}"
  return tuple(kept), line if songs or stems else ""


def _rows(file: str) -> list[dict[str, str]]:
  if not pathlib.Path(file).is_file():
    raise FileNotFoundError(
      f"--skip={file}: no such file{disk.similar(pathlib.Path(file))}; "
      f"expected {KNOWN!r} or a CSV file"
    )
  columns, rows = disk.read_csv(file, _FIX)
  if "song" not in columns:
    raise ValueError(f"{file} has no column song: {_FIX}")
  return [row | {"line": str(line)} for line, row in rows]


def _key(row: dict[str, str]) -> tuple[str, str]:
  return row["song"], row.get("stem", "")


def _check(
  file: str, rows: Sequence[dict[str, str]], found: Sequence[Song]
) -> None:
  """Raise ValueError for a song or stem that is not there."""
  names = {song.id: [x.name for x in song.stems] for song in found}
  # A stem that cannot be used is named by its problem.
  for song in found:
    names[song.id] += [x.stem for x in song.problems]
  for row in rows:
    song, stem = _key(row)
    place, known = f"no song {song!r}", list(names)
    if song in names:
      place, known = f"song {song} has no stem {stem!r}", names[song]
    if song in names and (not stem or stem in known):
      continue
    near = difflib.get_close_matches(stem if song in names else song, known, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"--skip={file}, line {row['line']}: {place}{meant}")
