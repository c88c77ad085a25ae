"""The decoding study as a table and as a plot."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import disk, text_tables
from stemgen_jax.evaluation.figures import title as title_of
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.reporting.decoding_summary import ANCHORS

_LABEL = 0.035  # height of a label, as a share of the range of qualities
_NEAR = 1.3  # passes whose ratio is below this share a column of labels
_NOT_WORSE, _WORSE = "#c4561e", "#8d869c"


def table(result: Mapping[str, Any]) -> str:
  """Return `decoding_summary.summarize` as Markdown, best settings first."""
  embeddings = list(result["anchors"]["real"]["frechet"])
  groups = summary.COMPARED
  header = ["setting", "passes", *map(title_of, groups)]
  header += [summary.DISTANCES[measure] for measure in summary.APA_ENDS]
  header += [f"FAD {name}" for name in embeddings]
  described = result["mirdd_floor"] is not None
  header += ["MIRDD"] * described + ["quality"]

  def distances(row: Mapping[str, Any]) -> list[str]:
    of = row["frechet"]
    cells = [
      text_tables.number(of[result["apa_by"]][x]) for x in summary.APA_ENDS
    ]
    cells += [text_tables.number(of[x]["fad"]) for x in embeddings]
    return cells + [text_tables.number(row["mirdd"])] * described

  rows = []
  for name, row in sorted(
    result["rows"].items(), key=lambda row: -(row[1]["quality"] or 0)
  ):
    scores = [_score(row["scores"][x], row["differences"][x]) for x in groups]
    spread = "" if row["spread"] is None else f" ± {row['spread']:.2f}"
    quality = f"{text_tables.number(row['quality'])}{spread}"
    rows.append([name, row["passes"], *scores, *distances(row), quality])
  for system in ANCHORS:
    score = {"round_trip": "100 %", "random": "0 %"}.get(system, "")
    title = f"*{system.replace('_', ' ')}*"
    anchor = result["anchors"][system]
    rows.append([title, "", *[score] * len(groups), *distances(anchor), ""])
  if described:
    empty = [""] * (len(header) - 3)
    floor = text_tables.number(result["mirdd_floor"])
    rows.append(["*other real mixes*", *empty, floor, ""])
  return text_tables.markdown(rows, header) + (
    f"\n\n{result['examples']} examples of {result['songs']} songs, "
    f"seeds: {result['seeds']}. Tempo and grid (beat F1, grid agreement) and "
    "harmony (chord tones, chroma, key): from random pairing (0 %) to the real "
    "stem through the codec (100 %); - and + mark a 95 % interval of the "
    f"difference from {result['reference']} that is below or above 0. "
    f"APA, by {result['apa_by']}: 1 for the real stem's mixes, 0 for another "
    "song's; of codes: 1 and 0 for the same two through the codec. Quality: "
    "mean of the scores, each at most 100 %, and APA of codes, ± standard "
    "deviation over the seeds."
  )


def _score(
  score: Mapping[str, float | None], difference: Mapping[str, float | None]
) -> str:
  if score["score"] is None:
    return "-"
  low, high = difference["low"], difference["high"]
  mark = ""
  if low is not None and high is not None:
    mark = " -" if high < 0 else " +" if low > 0 else ""
  return f"{100 * score['score']:.0f} %{mark}"


def draw(path: pathlib.Path, result: Mapping[str, Any]) -> None:
  """Draw quality against passes, a labelled point per setting, as PNG."""
  from matplotlib import ticker
  from matplotlib.figure import Figure

  figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
  axes = figure.add_subplot()
  rows = sorted(result["rows"].items(), key=lambda row: row[1]["quality"])
  places = _label_places([(r["passes"], r["quality"]) for _, r in rows])
  for (name, row), (place, side) in zip(rows, places):
    # Worse if a score's interval is entirely below the reference's.
    worse = any((x["high"] or 0) < 0 for x in row["differences"].values())
    colour = _WORSE if worse else _NOT_WORSE
    axes.errorbar(
      row["passes"],
      row["quality"],
      # None for a single seed: no error bar.
      yerr=row["spread"],
      fmt="o",
      color=colour,
      markersize=4,
      linewidth=0.8,
    )
    axes.annotate(
      name,
      (row["passes"], place),
      xytext=(5 * side, 3),
      textcoords="offset points",
      horizontalalignment="left" if side > 0 else "right",
      fontsize=7,
      color=colour,
    )
  reference = result["reference"]
  for colour, text in (
    (_NOT_WORSE, f"neither is significantly worse than {reference}'s"),
    (_WORSE, f"tempo or harmony significantly worse than {reference}'s"),
  ):
    # Empty plots make the entries of the legend.
    axes.plot([], [], "o", color=colour, markersize=4, label=text)
  axes.legend(loc="lower left", fontsize=7, frameon=False)
  axes.set_xscale("log", base=2)
  axes.margins(x=0.2)
  axes.xaxis.set_major_formatter(ticker.ScalarFormatter())
  axes.set_xlabel("passes of the model per window")
  axes.set_ylabel(
    "quality: mean of tempo and grid, harmony and APA of codes, by "
    + result["apa_by"]
  )
  axes.grid(alpha=0.25)
  with disk.replacing(path) as file:
    figure.savefig(file, format="png")


def _label_places(
  points: Sequence[tuple[int, float]],
) -> list[tuple[float, int]]:
  """Return heights of labels, and 1 for right of the point or -1 for left.

  Labels of columns with another one near on their right are on the left; no
  two labels overlap.

  Args:
    points: passes and quality, the lowest quality first.
  """
  qualities = [quality for _, quality in points]
  # Height of a label in units of quality.
  line = _LABEL * max(max(qualities) - min(qualities), 0.1)
  columns = sorted({passes for passes, _ in points})
  # Columns with another one less than 30 % to the right.
  left = {x for x, y in itertools.pairwise(columns) if y < _NEAR * x}
  found: list[tuple[int, float, int]] = []
  for passes, height in points:
    side = -1 if passes in left else 1
    # Move the label up past those that were placed before.
    for other, taken, other_side in sorted(found, key=lambda label: label[1]):
      near = max(passes, other) < _NEAR * min(passes, other)
      if near and side == other_side and abs(height - taken) < line:
        height = taken + line
    found.append((passes, height, side))
  return [(height, side) for _, height, side in found]
