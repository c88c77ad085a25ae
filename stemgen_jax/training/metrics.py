"""What a run reports: sums over steps to figures, figures to JSON lines."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from stemgen_jax import disk

# Of masked tokens, by active level and by bin of mask ratios.
_SUMS = ("level", "ratio")


def summarize(metrics: Sequence[dict[str, Any]]) -> dict[str, Any]:
  """Figures of several steps or batches, as plain numbers.

  Args:
    metrics: As `step.make_train_step` or `make_validation_step` returns.

  Returns:
    Means of the scalars; of the sums per level `loss_per_level` (nats per
    masked token) and `accuracy_per_level`, None where no token was masked; the
    same `_per_ratio`, for the bins `masking.RATIO_BINS`; `accuracy`, of all
    masked tokens; of the listening sums nats per frame at 100 % masked, level
    0, under the true and the shuffled context, and the gain between them.
  """
  fetched = jax.device_get(list(metrics))
  total: dict[str, Any] = {
    name: np.sum([m[name] for m in fetched], axis=0, dtype=np.float64)
    for name in fetched[0]
  }
  figures: dict[str, Any] = {
    name: float(x / len(fetched))
    for name, x in total.items()
    if name.partition("_")[0] not in (*_SUMS, "listening")
  }
  for group in _SUMS:
    tokens = total[f"{group}_tokens"]
    for name, sums in (("loss", "loss"), ("accuracy", "correct")):
      figures[f"{name}_per_{group}"] = [
        round(float(x / n), 5) if n else None
        for x, n in zip(total[f"{group}_{sums}"], tokens)
      ]
  correct, tokens = total["level_correct"], total["level_tokens"]
  figures["accuracy"] = float(correct.sum() / tokens.sum())
  if "listening_tokens" in total:
    frames = total["listening_tokens"]
    true = float(total["listening_true"] / frames)
    shuffled = float(total["listening_shuffled"] / frames)
    figures |= {
      "all_masked_true": round(true, 5),
      "all_masked_shuffled": round(shuffled, 5),
      "listening_gain": round(shuffled - true, 5),
    }
  return figures


def flatten(figures: dict[str, Any]) -> dict[str, float]:
  """The numbers among figures; those of a list as NAME/0, NAME/1 and so on."""
  flat = {}
  for name, value in figures.items():
    parts = {name: value}
    if isinstance(value, list):
      parts = {f"{name}/{number}": part for number, part in enumerate(value)}
    flat |= {k: x for k, x in parts.items() if isinstance(x, int | float)}
  return flat


class Log:
  """JSON lines, one object a line, each with the step it speaks of.

  Its `kind` says what a line is: "start", a call of the command, with the
  command and the devices; "train"; "validation"; "end", of a run that is done.

  Args:
    path: The file; lines of steps after `start`, which a killed run wrote
      and a resumed one will write again, are taken out, and so is an end.
    start: Step the run goes on from.
  """

  def __init__(self, path: str | os.PathLike, start: int):
    self._path = pathlib.Path(path)
    kept = [
      line
      for line in read_log(self._path)
      if line["step"] <= start and line["kind"] != "end"
    ]
    with disk.replacing(self._path) as part:
      part.write_text("".join(json.dumps(line) + "\n" for line in kept))

  def write(self, step: int, kind: str, figures: dict[str, Any]) -> None:
    """Adds a line."""
    line = {"step": step, "kind": kind, **figures}
    with self._path.open("a") as file:
      file.write(json.dumps(line) + "\n")


def read_log(path: str | os.PathLike) -> list[dict[str, Any]]:
  """The lines of a log; none if there is no such file."""
  path = pathlib.Path(path)
  if not path.exists():
    return []
  lines = []
  for line in path.read_text().splitlines():
    try:
      lines.append(json.loads(line))
    except ValueError:
      continue  # the line that a killed run was writing
  return lines


def has_ended(path: str | os.PathLike) -> bool:
  """Whether the log is of a run that is done, and not just stopped."""
  lines = read_log(path)
  return bool(lines) and lines[-1]["kind"] == "end"
