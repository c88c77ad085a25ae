"""What many ways to decode are worth, as a table and as a picture."""

import pathlib
from collections.abc import Mapping
from typing import Any

from stemgen_jax import disk
from stemgen_jax.evaluation import summary
from stemgen_jax.evaluation.decodings import ANCHORS

_LABEL = 0.035  # height of a label, as a share of the range of qualities


def table(result: Mapping[str, Any]) -> str:
  """What `decodings.summarise` returns, as Markdown: best settings first."""
  embeddings = list(result["anchors"]["real"]["frechet"])
  groups = list(summary.groups())
  heads = ["setting", "passes", *groups, "APA"]
  heads += [f"FAD {name}" for name in embeddings]
  described = result["anchors"]["real"]["mirdd"] is not None
  heads += ["MIRDD"] * described + ["quality"]
  lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
  rows = sorted(
    result["rows"].items(), key=lambda row: -(row[1]["quality"] or 0)
  )
  for name, row in rows:
    cells = [f"{name}", str(row["passes"])]
    for group in groups:
      cells.append(_score(row["scores"][group], row["differences"][group]))
    cells.append(_said(row["frechet"][embeddings[0]]["apa"]))
    cells += [_said(row["frechet"][x]["fad"]) for x in embeddings]
    cells += [_said(row["mirdd"])] * described
    spread = "" if row["spread"] is None else f" ± {row['spread']:.2f}"
    cells.append(f"{_said(row['quality'])}{spread}")
    lines.append("| " + " | ".join(cells) + " |")
  for system in ANCHORS:
    known = {"round_trip": "100 %", "random": "0 %"}.get(system, "")
    distances = result["anchors"][system]["frechet"]
    cells = [f"*{system.replace('_', ' ')}*", ""] + [known] * len(groups)
    cells.append(_said(distances[embeddings[0]]["apa"]))
    cells += [_said(distances[x]["fad"]) for x in embeddings]
    cells += [_said(result["anchors"][system]["mirdd"])] * described + [""]
    lines.append("| " + " | ".join(cells) + " |")
  lines.append(
    f"\n{result['examples']} examples of {result['songs']} songs, "
    f"{result['seeds']} seeds. Rhythm and harmony: from random pairing (0 %) "
    "to the real stem through the codec (100 %); - and + mark a 95 % interval "
    f"of the difference from {result['reference']} that is below or above 0. "
    f"APA of {embeddings[0]}. Quality: mean of the scores and APA, ± standard "
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
  return "-" if value is None else f"{value:.2f}"


def draw(path: pathlib.Path, result: Mapping[str, Any]) -> None:
  """Draws quality against passes into a PNG, named by setting."""
  from matplotlib import ticker
  from matplotlib.figure import Figure

  figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
  axes = figure.add_subplot()
  rows = sorted(
    result["rows"].items(),
    key=lambda row: (row[1]["passes"], row[1]["quality"]),
  )
  qualities = [row["quality"] for _, row in rows]
  line = _LABEL * max(max(qualities) - min(qualities), 0.1)
  passes, above = None, 0.0  # of the last label in a column
  for name, row in rows:
    best = all(
      (apart["high"] or 0) >= 0 for apart in row["differences"].values()
    )
    colour = "#c4561e" if best else "#8d869c"
    axes.errorbar(
      row["passes"],
      row["quality"],
      yerr=row["spread"],
      fmt="o",
      color=colour,
      markersize=4,
      linewidth=0.8,
    )
    place = row["quality"]
    if row["passes"] == passes:
      place = max(place, above + line)
    passes, above = row["passes"], place
    axes.annotate(
      name,
      (passes, place),
      xytext=(5, 3),
      textcoords="offset points",
      fontsize=7,
      color=colour,
    )
  axes.set_xscale("log", base=2)
  axes.margins(x=0.2)
  axes.xaxis.set_major_formatter(ticker.ScalarFormatter())
  axes.set_xlabel("passes of the model, a window")
  axes.set_ylabel("quality (0: random pairing, 1: the real stem's codes)")
  axes.grid(alpha=0.25)
  with disk.replacing(path) as partial:
    figure.savefig(partial, format="png")
