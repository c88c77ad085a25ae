"""What many ways to decode are worth, as a table and as a picture."""

import itertools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import disk
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.studies.decoding import ANCHORS

_LABEL = 0.035  # height of a label, as a share of the range of qualities
_NEAR = 1.3  # so many times as many passes are a column of their own
_KEPT, _LOST = "#c4561e", "#8d869c"


def table(result: Mapping[str, Any]) -> str:
  """What `decodings.summarise` returns, as Markdown: best settings first."""
  embeddings = list(result["anchors"]["real"]["frechet"])
  groups = list(summary.groups())
  heads = ["setting", "passes", *groups]
  heads += [summary.DISTANCES[measure] for measure in summary.APA_ENDS]
  heads += [f"FAD {name}" for name in embeddings]
  described = result["mirdd_floor"] is not None
  heads += ["MIRDD"] * described + ["quality"]
  lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
  rows = sorted(
    result["rows"].items(), key=lambda row: -(row[1]["quality"] or 0)
  )
  for name, row in rows:
    cells = [f"{name}", str(row["passes"])]
    for group in groups:
      cells.append(_score(row["scores"][group], row["differences"][group]))
    cells += [
      _said(row["frechet"][result["apa_by"]][x]) for x in summary.APA_ENDS
    ]
    cells += [_said(row["frechet"][x]["fad"]) for x in embeddings]
    cells += [_said(row["mirdd"])] * described
    spread = "" if row["spread"] is None else f" ± {row['spread']:.2f}"
    cells.append(f"{_said(row['quality'])}{spread}")
    lines.append("| " + " | ".join(cells) + " |")
  for system in ANCHORS:
    known = {"round_trip": "100 %", "random": "0 %"}.get(system, "")
    distances = result["anchors"][system]["frechet"]
    cells = [f"*{system.replace('_', ' ')}*", ""] + [known] * len(groups)
    cells += [_said(distances[result["apa_by"]][x]) for x in summary.APA_ENDS]
    cells += [_said(distances[x]["fad"]) for x in embeddings]
    cells += [_said(result["anchors"][system]["mirdd"])] * described + [""]
    lines.append("| " + " | ".join(cells) + " |")
  if described:
    cells = ["*other real mixes*", *[""] * (len(heads) - 3)]
    cells += [_said(result["mirdd_floor"]), ""]
    lines.append("| " + " | ".join(cells) + " |")
  lines.append(
    f"\n{result['examples']} examples of {result['songs']} songs, "
    f"seeds: {result['seeds']}. Rhythm (beat F1, grid agreement) and harmony "
    "(chord tones, chroma, key): from random pairing (0 %) to the real stem "
    "through the codec (100 %); - and + mark a 95 % interval of the difference "
    f"from {result['reference']} that is below or above 0. "
    f"APA, by {result['apa_by']}: 1 for the real stem's mixes, 0 for another "
    "song's; of codes: 1 and 0 for the same two through the codec. Quality: "
    "mean of the scores, each at most 100 %, and APA of codes, ± standard "
    "deviation over the seeds."
  )
  return "\n".join(lines)


def _score(
  score: Mapping[str, float | None], apart: Mapping[str, float | None]
) -> str:
  if score["score"] is None:
    return "-"
  low, high = apart["low"], apart["high"]
  mark = ""
  if low is not None and high is not None:
    mark = " -" if high < 0 else " +" if low > 0 else ""
  return f"{100 * score['score']:.0f} %{mark}"


def _said(value: float | None) -> str:
  return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def draw(path: pathlib.Path, result: Mapping[str, Any]) -> None:
  """Draws quality against passes into a PNG, named by setting."""
  from matplotlib import ticker
  from matplotlib.figure import Figure

  figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
  axes = figure.add_subplot()
  rows = sorted(result["rows"].items(), key=lambda row: row[1]["quality"])
  places = _label_places([(r["passes"], r["quality"]) for _, r in rows])
  for (name, row), (place, side) in zip(rows, places):
    colour = _LOST if _loses(row) else _KEPT
    axes.errorbar(
      row["passes"],
      row["quality"],
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
    (_KEPT, f"rhythm and harmony no worse than {reference}'s, or not for sure"),
    (_LOST, f"one of them worse than {reference}'s"),
  ):
    axes.plot([], [], "o", color=colour, markersize=4, label=text)
  axes.legend(loc="lower left", fontsize=7, frameon=False)
  axes.set_xscale("log", base=2)
  axes.margins(x=0.2)
  axes.xaxis.set_major_formatter(ticker.ScalarFormatter())
  axes.set_xlabel("passes of the model, a window")
  axes.set_ylabel(
    "quality: mean of rhythm, harmony and APA of codes, by " + result["apa_by"]
  )
  axes.grid(alpha=0.25)
  with disk.replacing(path) as partial:
    figure.savefig(partial, format="png")


def _loses(row: Mapping[str, Any]) -> bool:
  """Whether a score is below the reference's with its whole interval."""
  return any((x["high"] or 0) < 0 for x in row["differences"].values())


def _label_places(
  points: Sequence[tuple[int, float]],
) -> list[tuple[float, int]]:
  """Heights of labels, and 1 for the right of their points or -1 for the left.

  Labels of columns that have another one near to their right are on the left,
  and none lies on another.

  Args:
    points: passes and quality, the lowest quality first.
  """
  qualities = [quality for _, quality in points]
  line = _LABEL * max(max(qualities) - min(qualities), 0.1)
  columns = sorted({passes for passes, _ in points})
  left = {x for x, y in itertools.pairwise(columns) if y < _NEAR * x}
  found: list[tuple[int, float, int]] = []
  for passes, height in points:
    side = -1 if passes in left else 1
    for other, taken, other_side in sorted(found, key=lambda label: label[1]):
      near = max(passes, other) < _NEAR * min(passes, other)
      if near and side == other_side and abs(height - taken) < line:
        height = taken + line
    found.append((passes, height, side))
  return [(height, side) for _, height, side in found]
