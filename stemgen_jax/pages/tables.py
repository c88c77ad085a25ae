"""HTML tables."""

import html
from collections.abc import Sequence


def table(
  header: Sequence[str],
  rows: Sequence[Sequence[object]],
  bars: Sequence[float] = (),
) -> str:
  """Return a table; `bars`, one number per row, are a last column."""
  # `or 1`: all bars may be 0.
  most = max(bars, default=0) or 1
  lines = ["".join(f"<th>{html.escape(name)}</th>" for name in header)]
  if bars:
    lines[0] += "<th></th>"
  for number, row in enumerate(rows):
    cells = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
    if bars:
      width = 100 * bars[number] / most
      cells += f'<td class="bar"><i style="width:{width:.1f}%"></i></td>'
    lines.append(cells)
  return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
