"""The paper's early stopping: validation accuracy has stopped rising."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass
class Best:
  """The validation of highest accuracy so far.

  Attributes:
    step: step of that validation; 0 before the first.
    accuracy: share of the masked tokens predicted correctly, 0 to 1.
  """

  step: int = 0
  accuracy: float = -math.inf

  @classmethod
  def of_log(cls, lines: Iterable[dict[str, Any]], last: int) -> "Best":
    """Return the best validation up to step `last`, see `metrics.Log`."""
    best = cls()
    for line in lines:
      if line["kind"] == "validation" and line["step"] <= last:
        best.update(line["step"], line.get("accuracy", -math.inf))
    return best

  def update(self, step: int, accuracy: float) -> bool:
    """Take a validation into account; return whether it is a new best."""
    # In this form NaN is never the best.
    if not accuracy > self.accuracy:
      return False
    self.step, self.accuracy = step, accuracy
    return True

  def is_stale(self, step: int, patience: int) -> bool:
    """Return whether accuracy has not risen for `patience` steps.

    A patience of 0 is unlimited. The paper's is 20k steps (arXiv 2312.08723).
    """
    measured = self.accuracy > -math.inf
    return patience > 0 and measured and step - self.step >= patience
