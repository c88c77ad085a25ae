"""The training history: validations as a table and as a plot."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import disk, text_tables

_FIGURES = (
  "step",
  "accuracy",
  "loss_per_level",
  "all_masked_true",
  "all_masked_shuffled",
)
_COLOURS = ("#1f4e79", "#2f8f83", "#8a9a2b", "#c4561e")


def validations(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """Return the figures of the validations in a log, in the order of steps."""
  return [
    {name: line[name] for name in _FIGURES}
    for line in lines
    if line["kind"] == "validation"
  ]


def table(rows: Sequence[Mapping[str, Any]], most: int = 12) -> str:
  """Return a Markdown table of about `most` rows, up to the last."""
  stride = -(-len(rows) // most)  # Rounded up.
  levels = range(len(rows[0]["loss_per_level"]))
  header = ["step", "accuracy", *(f"loss, level {q}" for q in levels)]
  header += ["all masked, true context", "shuffled context"]
  cells = []
  # Counted back from the last row, which is always shown.
  for row in rows[(len(rows) - 1) % stride :: stride]:
    losses = [*row["loss_per_level"]]
    losses += [row["all_masked_true"], row["all_masked_shuffled"]]
    figures = ("-" if loss is None else f"{loss:.2f}" for loss in losses)
    cells.append([row["step"], f"{row['accuracy']:.3f}", *figures])
  return text_tables.markdown(cells, header)


def draw(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
  """Plot loss per level and use of the context into a PNG file."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(9, 3.6), dpi=100, layout="constrained")
  steps = [row["step"] for row in rows]
  losses, contexts = figure.subplots(1, 2)
  for q, levels in enumerate(zip(*(row["loss_per_level"] for row in rows))):
    losses.plot(
      steps, levels, ".-", color=_COLOURS[q % len(_COLOURS)], label=f"level {q}"
    )
  losses.set_title("loss per masked token", fontsize=10)
  for name, label, colour in (
    ("all_masked_true", "true context", _COLOURS[0]),
    ("all_masked_shuffled", "shuffled context", _COLOURS[-1]),
  ):
    figures = [row[name] for row in rows]
    contexts.plot(steps, figures, ".-", color=colour, label=label)
  contexts.set_title("level 0, all masked", fontsize=10)
  for axes in (losses, contexts):
    axes.set_xlabel("step")
    axes.set_ylabel("nats")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
  with disk.replacing(path) as file:
    figure.savefig(file, format="png")
