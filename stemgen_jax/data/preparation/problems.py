"""What was found wrong with songs: a table to read and a file to work off."""

import collections
import csv
import io
import pathlib
from collections.abc import Iterable, Sequence

from stemgen_jax import disk
from stemgen_jax.data.preparation import song_codes
from stemgen_jax.data.songs import Problem

FILE = "problems.csv"
"""In the folder of a data set."""

# What was done about problems by which neither song nor stem is left out; of
# other kinds nothing is lost.
_DONE = {
  "not rendered": "published without audio",
  "silent stem": "heard as silence, not played",
  "unknown name": "taken as other",
}
_COLUMNS = ("song", "stem", "problem", "left_out", "message")


def gather(
  listed: Iterable[tuple[str, Problem]],
  folder: pathlib.Path,
  song_ids: Iterable[str],
) -> list[tuple[str, Problem]]:
  """Problems of the listing and those in the files of encoded songs."""
  found = list(listed)
  for song_id in song_ids:
    path = song_codes.song_path(folder, song_id)
    found += [(song_id, p) for p in song_codes.facts_of(path)[0]]
  return found


def write(out: pathlib.Path, problems: Sequence[tuple[str, Problem]]) -> None:
  """Writes them to `FILE` in the folder `out`, one in a line."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(_COLUMNS)
  for song, problem in problems:
    left_out = "yes" if problem.left_out else "no"
    writer.writerow(
      (song, problem.stem, problem.kind, left_out, problem.message)
    )
  with disk.replacing(out / FILE) as partial:
    partial.write_text(text.getvalue(), encoding="utf-8")


def read(out: pathlib.Path) -> list[tuple[str, Problem]]:
  """What `write` wrote; nothing where there is no such file."""
  if not (out / FILE).is_file():
    return []
  with open(out / FILE, newline="", encoding="utf-8") as file:
    return [
      (
        row["song"],
        Problem(
          row["problem"], row["message"], row["stem"], row["left_out"] == "yes"
        ),
      )
      for row in csv.DictReader(file)
    ]


def table(problems: Sequence[tuple[str, Problem]]) -> str:
  """How many songs and stems have which problem, with an example of each.

  Kinds by which nothing is lost are only counted.
  """
  if not problems:
    return "no problems found"
  kinds: dict[tuple[str, bool, bool], list[tuple[str, Problem]]]
  kinds = collections.defaultdict(list)
  for song, problem in problems:
    kinds[problem.kind, problem.left_out, bool(problem.stem)].append(
      (song, problem)
    )
  rows, harmless = [], []
  for (kind, left_out, of_stem), found in sorted(
    kinds.items(), key=lambda item: (not item[0][1], item[0][0])
  ):
    stems = len(found) if of_stem else "-"
    count = len({song for song, _ in found})
    done = _DONE.get(kind)
    if left_out:
      done = "stem left out" if of_stem else "song left out"
    if done is None:
      harmless.append(f"{kind} {len(found) if of_stem else count}")
      continue
    song, problem = found[0]
    where = f"{song}/{problem.stem}" if of_stem else song
    rows.append(f"{kind:<18}{count:>7}{stems:>7}  {done}")
    rows.append(f"    {where}: {problem.message}")
  if rows:
    rows.insert(0, f"{'problem':<18}{'songs':>7}{'stems':>7}  what was done")
  if harmless:
    rows.append(f"noted, nothing is lost: {', '.join(harmless)}")
  return "\n".join(rows)
