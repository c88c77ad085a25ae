"""The metrics of a run: sums to figures, figures to lines of JSON."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from stemgen_jax.disk import cut_log
from stemgen_jax.disk import read_log as read_log

# Groups of the sums of `scores.score`: active levels, and bins of mask ratios.
_GROUPS = ("level", "ratio")
# Beginnings of the names of other sums.
_SUMS = ("scale", "listening", "place")


def summarize(metrics: Sequence[dict[str, Any]]) -> dict[str, Any]:
  """Summarize several steps or batches in plain numbers.

  Args:
    metrics: results of `step.make_train_step` or `make_validation_step`.

  Returns:
    Means of the scalars; `loss_per_level` (nats per masked token) and
    `accuracy_per_level`, None where no token was masked; the same `_per_ratio`
    for `masking.RATIO_BINS`; `accuracy` over all masked tokens; `scale_loss`
    and `scale_accuracy` of scale tokens, which these leave out; `beat_loss`,
    nats per frame, and `beat_accuracy` and `bar_accuracy`, shares of the frames
    whose part of the beat and whose place in the bar are right. Of validation
    also `all_masked_true` and `all_masked_shuffled`, nats per frame at level 0
    with all frames masked, under the true and a shuffled context, and their
    difference `listening_gain`.
  """
  # One call, so that the copies of all arrays overlap.
  fetched = jax.device_get(list(metrics))
  # float32 would count tokens exactly only up to 2**24.
  total: dict[str, Any] = {
    name: np.sum([m[name] for m in fetched], axis=0, dtype=np.float64)
    for name in fetched[0]
  }
  figures: dict[str, Any] = {
    name: float(x / len(fetched))
    for name, x in total.items()
    if name.partition("_")[0] not in (*_GROUPS, *_SUMS)
  }
  for group in _GROUPS:
    # [q] or [5]; a bin may be empty, as small mask ratios are rare.
    tokens = total[f"{group}_tokens"]
    for name, sums in (("loss", "loss"), ("accuracy", "correct")):
      figures[f"{name}_per_{group}"] = [
        round(float(x / n), 5) if n else None
        for x, n in zip(total[f"{group}_{sums}"], tokens)
      ]
  correct, tokens = total["level_correct"], total["level_tokens"]
  # A step that predicts only scales has none.
  figures["accuracy"] = (
    float(correct.sum() / tokens.sum()) if tokens.sum() else None
  )
  if (scales := total.get("scale_tokens", np.zeros(1)).item()) > 0:
    figures["scale_loss"] = round(total["scale_loss"].item() / scales, 5)
    correct = total["scale_correct"].item()
    figures["scale_accuracy"] = round(correct / scales, 5)
  if (frames := float(total.get("place_frames", 0))) > 0:
    figures |= {
      "beat_loss": round(float(total["place_loss"]) / frames, 5),
      "beat_accuracy": round(float(total["place_parts"]) / frames, 5),
      "bar_accuracy": round(float(total["place_correct"]) / frames, 5),
    }
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
  """Return the numbers among figures; those of lists as NAME/0, NAME/1, ..."""
  flat = {}
  for name, value in figures.items():
    parts = {name: value}
    if isinstance(value, list):
      parts = {f"{name}/{number}": part for number, part in enumerate(value)}
    flat |= {k: x for k, x in parts.items() if isinstance(x, int | float)}
  return flat


class Log:
  """A log of JSON lines, each with its step and kind.

  Kinds are "start", one call of the command, with the command line and the
  devices; "train"; "validation"; and "end", of a run that is complete.

  Args:
    path: file of the log. Lines after `start`, which a killed run wrote and the
      resumed one will repeat, are removed, and so is an "end".
    start: step that the run starts or resumes from.
  """

  def __init__(self, path: str | os.PathLike, start: int):
    self._path = pathlib.Path(path)
    cut_log(self._path, lambda x: x["step"] <= start and x["kind"] != "end")

  def write(self, step: int, kind: str, figures: dict[str, Any]) -> None:
    """Append a line."""
    line = {"step": step, "kind": kind, **figures}
    with self._path.open("a") as file:
      file.write(json.dumps(line) + "\n")


def has_ended(path: str | os.PathLike) -> bool:
  """Return whether the run of a log is complete, and not just stopped."""
  lines = read_log(path)
  return bool(lines) and lines[-1]["kind"] == "end"
