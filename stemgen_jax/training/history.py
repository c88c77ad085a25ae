"""The course of a training: its validations as a table and as a picture."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import disk

_FIGURES = (
  "step",
  "accuracy",
  "loss_per_level",
  "all_masked_true",
  "all_masked_shuffled",
)
_COLOURS = ("#1f4e79", "#2f8f83", "#8a9a2b", "#c4561e")


def validations(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """What the validations among a log's lines found, in the order of steps."""
  return [
    {name: line[name] for name in _FIGURES}
    for line in lines
    if line["kind"] == "validation"
  ]


def table(rows: Sequence[Mapping[str, Any]], most: int = 12) -> str:
  """A course as Markdown: every row, or `most` of them up to the last."""
  stride = -(-len(rows) // most)
  levels = range(len(rows[0]["loss_per_level"]))
  lines = [
    "| step | accuracy | "
    + " | ".join(f"loss, level {q}" for q in levels)
    + " | all hidden, true context | another's context |",
    "|---" * (len(levels) + 4) + "|",
  ]
  for row in rows[(len(rows) - 1) % stride :: stride]:
    losses = [*row["loss_per_level"]]
    losses += [row["all_masked_true"], row["all_masked_shuffled"]]
    cells = [str(row["step"]), f"{row['accuracy']:.3f}"]
    cells += ["-" if loss is None else f"{loss:.2f}" for loss in losses]
    lines.append("| " + " | ".join(cells) + " |")
  return "\n".join(lines)


def draw(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
  """Draws a course into a PNG: the levels' loss, and whether it listens."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(9, 3.6), dpi=100, layout="constrained")
  steps = [row["step"] for row in rows]
  losses, listening = figure.subplots(1, 2)
  for q, levels in enumerate(zip(*(row["loss_per_level"] for row in rows))):
    losses.plot(
      steps, levels, ".-", color=_COLOURS[q % len(_COLOURS)], label=f"level {q}"
    )
  losses.set_title("loss per masked token", fontsize=10)
  for name, label, colour in (
    ("all_masked_true", "true context", _COLOURS[0]),
    ("all_masked_shuffled", "another's context", _COLOURS[-1]),
  ):
    figures = [row[name] for row in rows]
    listening.plot(steps, figures, ".-", color=colour, label=label)
  listening.set_title("level 0, all hidden", fontsize=10)
  for axes in (losses, listening):
    axes.set_xlabel("step")
    axes.set_ylabel("nats")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
  with disk.replacing(path) as partial:
    figure.savefig(partial, format="png")
