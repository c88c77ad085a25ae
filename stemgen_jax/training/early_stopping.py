"""The paper's rule when to stop: validation accuracy no longer rises."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass
class Best:
  """The validation of the highest accuracy so far.

  Attributes:
    step: When it was; 0 before the first.
    accuracy: Share of the masked tokens that were predicted, 0 to 1.
  """

  step: int = 0
  accuracy: float = -math.inf

  @classmethod
  def of_log(cls, lines: Iterable[dict[str, Any]], last: int) -> "Best":
    """The best validation up to step `last`, of a log (see `metrics.Log`)."""
    best = cls()
    for line in lines:
      if line["kind"] == "validation" and line["step"] <= last:
        best.rises(line["step"], line.get("accuracy", -math.inf))
    return best

  def rises(self, step: int, accuracy: float) -> bool:
    """Takes a validation in; whether it is better than all before."""
    if not accuracy > self.accuracy:
      return False
    self.step, self.accuracy = step, accuracy
    return True

  def is_stale(self, step: int, patience: int) -> bool:
    """Whether accuracy has not risen for `patience` steps; 0 is for ever.

    The paper's patience is 20k steps (arXiv 2312.08723).
    """
    measured = self.accuracy > -math.inf
    return patience > 0 and measured and step - self.step >= patience
