"""Tables in plain text and in Markdown."""

import math
from collections.abc import Sequence


def aligned(
  rows: Sequence[Sequence[object]], header: Sequence[str] = (), *, gap: int = 2
) -> str:
  """Return rows as text; the first column is left-aligned, others right.

  Args:
    rows: cells, all rows of one length.
    header: names of the columns, if any.
    gap: spaces between columns.
  """
  lines = [[str(cell) for cell in row] for row in ([header] if header else [])]
  lines += [[str(cell) for cell in row] for row in rows]
  if not lines:
    return ""
  widths = [max(map(len, column)) for column in zip(*lines)]
  return "\n".join(
    (" " * gap)
    .join(
      cell.rjust(width) if place else cell.ljust(width)
      for place, (cell, width) in enumerate(zip(line, widths))
    )
    .rstrip()
    for line in lines
  )


def markdown(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
  """Return rows as a Markdown table."""
  lines = [header, ["---"] * len(header), *rows]
  return "\n".join(
    "| " + " | ".join(str(cell) for cell in line) + " |" for line in lines
  )


def number(value: float | None, digits: int = 2, absent: str = "-") -> str:
  """Format a number with decimal places; None and NaN are `absent`."""
  if value is None or math.isnan(value):
    return absent
  return f"{value:.{digits}f}"
