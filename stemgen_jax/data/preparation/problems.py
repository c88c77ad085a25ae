"""Problems of songs: a table to read and a file to work through."""

import collections
import csv
import io
import pathlib
from collections.abc import Sequence

from stemgen_jax import disk, text_tables
from stemgen_jax.data.preparation import suspicious
from stemgen_jax.data.songs import Problem

# Name of the file, in the folder of a data set.
FILE = "problems.csv"

# Treatment of problems that leave neither song nor stem out; other kinds lose
# nothing.
_DONE = {
  "not rendered": "published without audio",
  "silent stem": "silent in contexts, never a target",
  "unknown name": "used as other",
}
# Value of the column `left_out` for stems that stay in contexts.
_AS_TARGET = "as target"
_FIX = "delete it to continue without these problems"
_COLUMNS = ("song", "stem", "problem", "left_out", "message")


def first_left_out(problems: Sequence[tuple[str, Problem]]) -> str:
  """Describe the first problem for which anything is left out, "" if none."""
  bad = [(song, problem) for song, problem in problems if problem.left_out]
  if not bad:
    return ""
  song, problem = bad[0]
  where = f"song {song}" + (f", {problem.stem}" if problem.stem else "")
  more = f"; {len(bad) - 1} more" if bad[1:] else ""
  return f"{where}: {problem.message}{more}"


def refuse_left_out(problems: Sequence[tuple[str, Problem]]) -> None:
  """Raise ValueError, for --strict, if anything had to be left out."""
  if first := first_left_out(problems):
    raise ValueError(
      f"--strict: {first}; repair it, or prepare without --strict"
    )


def write(out: pathlib.Path, problems: Sequence[tuple[str, Problem]]) -> None:
  """Write problems to `FILE` in the folder `out`, one per line."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(_COLUMNS)
  for song, problem in problems:
    left_out = "yes" if problem.left_out else "no"
    if problem.left_out and problem.kind in suspicious.ONLY_CONTEXT:
      left_out = _AS_TARGET
    cells = (song, problem.stem, problem.kind, left_out, problem.message)
    writer.writerow(map(_as_text, cells))
  disk.write_text(out / FILE, text.getvalue())


def read(out: pathlib.Path) -> list[tuple[str, Problem]]:
  """Read the file that `write`, or a spreadsheet, wrote; [] without a file.

  Raises:
    ValueError: the file is corrupt.
  """
  if not (out / FILE).is_file():
    return []
  columns, rows = disk.read_csv(out / FILE, _FIX, fallback="cp1252")
  if missing := sorted(set(_COLUMNS) - set(columns)):
    raise ValueError(f"{out / FILE} has no column {missing[0]}: {_FIX}")
  found = []
  for _, row in rows:
    song, stem, kind, left_out, message = (_original(row[x]) for x in _COLUMNS)
    is_out = left_out.strip().lower() in ("yes", _AS_TARGET)
    found.append((song, Problem(kind, message, stem, is_out)))
  return found


# Beginnings of cells that spreadsheets take for formulas.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def _as_text(cell: str) -> str:
  """Return a cell that a spreadsheet shows, and does not evaluate."""
  return f"'{cell}" if cell.lstrip("' ").startswith(_FORMULAS) else cell


def _original(cell: str) -> str:
  """Return the cell that `_as_text` changed."""
  return cell[1:] if cell[:1] == "'" and _as_text(cell[1:]) == cell else cell


def table(problems: Sequence[tuple[str, Problem]]) -> str:
  """Count songs and stems by kind of problem, with an example of each.

  Kinds that lose nothing are only counted.
  """
  if not problems:
    return "no problems found"
  kinds: dict[tuple[str, bool, bool], list[tuple[str, Problem]]]
  kinds = collections.defaultdict(list)
  for song, problem in problems:
    kinds[problem.kind, problem.left_out, bool(problem.stem)].append(
      (song, problem)
    )
  rows, treatments, harmless = [], ["treatment"], []
  # Kinds that leave something out first, then by name.
  for (kind, left_out, of_stem), found in sorted(
    kinds.items(), key=lambda item: (not item[0][1], item[0][0])
  ):
    stems = len(found) if of_stem else "-"
    count = len({song for song, _ in found})
    done = _DONE.get(kind)
    if left_out:
      done = "stem left out" if of_stem else "song left out"
      if kind in suspicious.KINDS:
        done = f"{suspicious.KINDS[kind]} ({suspicious.OVERRIDE})"
    if done is None:
      harmless.append(f"{kind} {len(found) if of_stem else count}")
      continue
    song, problem = found[0]
    where = f"{song}/{problem.stem}" if of_stem else song
    rows.append((kind, count, stems))
    treatments.append(f"{done}\n    {where}: {problem.message}")
  lines = []
  if rows:
    counts = text_tables.aligned(rows, ("problem", "songs", "stems"))
    lines += map("  ".join, zip(counts.splitlines(), treatments))
  if harmless:
    lines.append(f"noted, nothing is left out: {', '.join(harmless)}")
  return "\n".join(lines)
