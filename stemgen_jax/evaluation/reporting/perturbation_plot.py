"""The curves of the perturbation study as a plot."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

from stemgen_jax import disk
from stemgen_jax.evaluation.perturbations import (
  LEVELS,
  SHIFTED,
  STRETCHED,
  TRANSPOSED,
  UNCHANGED,
)

_PANELS = {
  "transposed, semitones": {
    str(k): f"transposed {k:+d}" if k else UNCHANGED
    for k in sorted((0, *TRANSPOSED))
  },
  "late": {"0": UNCHANGED, **{x: f"late by {x}" for x in SHIFTED}},
  "stretched, %": {
    "0": UNCHANGED,
    **{str(x): f"stretched {x} %" for x in STRETCHED},
  },
  "others": {
    "none": UNCHANGED,
    "chords\na bar late": "chords a bar late",
    **{f"{x:+d} dB": f"level {x:+d} dB" for x in LEVELS},
    "codec": f"{UNCHANGED}, codec",
  },
}
"""Title of a panel -> label on its axis -> name of the perturbation."""


def draw(
  path: pathlib.Path, figures: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> None:
  """Draw a panel per kind of perturbation and a curve per figure, as PNG.

  Args:
    path: file to write.
    figures: figure -> perturbation -> `mean` with its interval.
  """
  from matplotlib.figure import Figure

  plot = Figure(figsize=(13, 4.2), dpi=110, layout="constrained")
  panels = plot.subplots(1, len(_PANELS), sharey=True)
  for axes, (title, names) in zip(panels, _PANELS.items()):
    for figure, means in figures.items():
      found = [means[name]["mean"] for name in names.values()]
      heights = [math.nan if mean is None else mean for mean in found]
      axes.plot(
        list(names),
        heights,
        marker="o",
        markersize=3,
        linewidth=1,
        label=figure.replace("_", " "),
      )
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
  handles, labels = panels[0].get_legend_handles_labels()
  plot.legend(
    handles,
    labels,
    loc="outside lower center",
    ncols=4,
    fontsize=7,
    frameon=False,
  )
  with disk.replacing(path) as file:
    plot.savefig(file, format="png")
